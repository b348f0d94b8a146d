// Instantiates the model code for the CUDA backend, which is linked in CUDA builds. This needs no CUDA
// toolkit, since none of these headers includes one of it.

#include "espectra/experiments/run/pipeline.hpp"
#include "espectra/models/hessian_vector.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/cuda/context.hpp"

namespace espectra {

static_assert(Backend<CpuContext> && Backend<CudaContext>);

// Views of host memory are not accepted for device memory, nor the reverse.
template <class B, Space S>
concept StepsOn = requires(B& context, const GradientDescentStep<S>& step) {
    gradient_descent_step(context, step);
};
static_assert(StepsOn<CpuContext, Space::host> && StepsOn<CudaContext, Space::device>);
static_assert(!StepsOn<CpuContext, Space::device> && !StepsOn<CudaContext, Space::host>);

template class Evaluator<CudaContext>;
template class Trainer<CudaContext>;
template class HessianAssembler<CudaContext>;
template class HessianVectorProduct<CudaContext>;
template class SpectrumAnalyzer<CudaContext>;
template class Pipeline<CudaContext>;

}  // namespace espectra
