#include "espectra/kernels/optimizer.hpp"

#include "espectra/kernels/math/parameter_update.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <cmath>

namespace espectra {

void adam_step(CpuContext& context, const AdamStep<Space::host>& a) {
    const Index parameters = a.theta.extent[1];
    context.parallel_for(a.theta.extent[0], [&](Index r, int) {
        const double rate = a.rates(r, a.counter(0) % rate_segment);
        const double* gradient = &a.gradient(r, 0);
        double* theta = &a.theta(r, 0);
        double* first = &a.first_moment(r, 0);
        double* second = &a.second_moment(r, 0);
        for (Index p = 0; p < parameters; ++p)
            theta[p] =
                adam_update(theta[p], gradient[p], rate, a.beta1, a.beta2, a.epsilon, first[p], second[p]);
    });
}

void gradient_descent_step(CpuContext& context, const GradientDescentStep<Space::host>& a) {
    const Index parameters = a.theta.extent[1];
    context.parallel_for(a.theta.extent[0], [&](Index r, int) {
        const double rate = a.rates(r, a.counter(0) % rate_segment);
        const double* gradient = &a.gradient(r, 0);
        double* theta = &a.theta(r, 0);
        for (Index p = 0; p < parameters; ++p)
            theta[p] = gradient_descent_update(theta[p], gradient[p], rate);
    });
}

void mark_divergence(CpuContext& /*context*/, const DivergenceMark<Space::host>& a) {
    for (Index r = 0; r < a.cost.extent[0]; ++r)
        if (a.first_nonfinite(r) < 0 && !std::isfinite(a.cost(r))) a.first_nonfinite(r) = a.counter(0);
}

void advance_counter(CpuContext& /*context*/, const CounterAdvance<Space::host>& a) {
    a.counter(0) += a.epochs;
}

}  // namespace espectra
