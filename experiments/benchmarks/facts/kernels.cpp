// Section `kernels`.

#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/experiments/benchmarks/kernel_operations.hpp"
#include "espectra/models/initial_theta.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/launched_kernels.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace espectra {

namespace {

std::string readable_name(const LaunchedKernel& kernel) {
    const char* symbol = nullptr;
    check(cudaFuncGetName(&symbol, kernel.function));
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(symbol, nullptr, nullptr, &status),
                                                      std::free);
    return name ? name.get() : symbol;
}

Json facts_of(const LaunchedKernel& kernel, int threads_per_multiprocessor) {
    cudaFuncAttributes attributes;
    check(cudaFuncGetAttributes(&attributes, kernel.function));
    int blocks = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel.function, kernel.threads,
                                                        kernel.shared_bytes));
    return {{"kernel", readable_name(kernel)},
            {"operation", kernel.operation},
            {"threads", kernel.threads},
            {"blocks", kernel.blocks},
            {"registers", attributes.numRegs},
            {"local_bytes", attributes.localSizeBytes},
            {"shared_bytes", attributes.sharedSizeBytes + kernel.shared_bytes},
            {"binary_version", attributes.binaryVersion},
            {"ptx_version", attributes.ptxVersion},
            {"blocks_per_multiprocessor", blocks},
            {"occupancy", static_cast<double>(blocks * kernel.threads) / threads_per_multiprocessor}};
}

/// Runs all operations of R such networks, and an epoch of their training.
void run_operations(CudaContext& context, const Network& network, Index replicas, Index examples) {
    for (const CaseOperation<CudaContext>& named :
         kernel_operations<CudaContext>(network, replicas, examples)) {
        Arrays<CudaContext> arrays(context);
        const Operation operation = named.make(arrays, named.on);
        if (operation.restore) operation.restore();
        operation.run();
        context.synchronize();
    }
    Arrays<CudaContext> arrays(context);
    const Examples<Space::device> train{arrays.array(network.inputs(), examples),
                                        arrays.positive(network.outputs(), examples)};
    std::vector<double> theta;
    for (Index r = 0; r < replicas; ++r)
        for (const double value : initial_theta(network, {}, static_cast<std::uint64_t>(r)))
            theta.push_back(value);
    Trainer<CudaContext> trainer(context, network, train, {}, {}, theta);
    trainer.advance_to(1);
    context.synchronize();
}

}  // namespace

Json kernel_facts(const FactOptions& options) {
    note_launches();
    CudaContext context;
    const Network digits({{64, 25, 10}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}),
        planar({{2, 10, 1}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy});
    run_operations(context, digits, 1, options.small ? 16 : 1437);
    run_operations(context, planar, 1, options.small ? 16 : 690);
    run_operations(context, planar, options.small ? 2 : 1024, options.small ? 16 : 690);
    int threads = 0;
    check(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor, context.device()));
    Json facts = Json::array();
    for (const LaunchedKernel& kernel : noted_launches()) facts.push_back(facts_of(kernel, threads));
    return facts;
}

}  // namespace espectra
