// Sections `ceilings` and `products`.

#include "espectra/experiments/benchmarks/cuda_meter.hpp"
#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/models/hessian.hpp"

#include <string>
#include <vector>

namespace espectra {

namespace {

CeilingSizes ceiling_sizes(const FactOptions& options) {
    return options.small ? CudaMeter::small_ceilings : CudaMeter::usual_ceilings;
}

/// A network and a number of examples whose Hessian is assembled.
struct ProductCase {
    const char* name;
    std::vector<Index> widths;
    Index examples;
};

std::vector<ProductCase> product_cases(const FactOptions& options) {
    if (options.small) return {{"6-5-3", {6, 5, 3}, 20}};
    return {{"64-25-10", {64, 25, 10}, 1437}, {"784-50-10", {784, 50, 10}, 8192}};
}

}  // namespace

Json ceiling_facts(const FactOptions& options) {
    CudaContext context;
    CudaMeter meter(context, ceiling_sizes(options));
    return {{"copy_bytes_per_second", meter.copy_bytes_per_second()},
            {"rows", ceiling_sizes(options).product_rows},
            {"dgemm_flops_per_second", meter.gemm_flops_per_second()},
            {"dsyrk_flops_per_second", meter.syrk_flops_per_second()}};  // of one triangle
}

Json product_facts(const FactOptions& options) {
    Json facts = Json::array();
    for (const auto& [name, widths, examples] : product_cases(options)) {
        Json fact = {{"network", name}, {"examples", examples}};
        try {
            CudaContext context;
            CudaMeter meter(context, ceiling_sizes(options));
            Arrays<CudaContext> arrays(context);
            const Network network({widths, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy});
            const Index p = network.parameters();
            const Examples<Space::device> data{arrays.array(network.inputs(), examples),
                                               arrays.positive(network.outputs(), examples)};
            const auto theta = arrays.array(1, p);
            Buffer<double, Space::device> hessian(context, p * p);
            HessianAssembler<CudaContext> assembler(context, network, data, 1);
            const auto assemble = [&] { assembler.assemble(theta, hessian.view(1, p, p)); };
            const double flops =
                2 * static_cast<double>(hessian_products(network.view())) * static_cast<double>(examples);
            fact["parameters"] = p;
            fact["flops"] = flops;    // of the contractions over examples, of one triangle
            meter.seconds(assemble);  // loads the kernels and takes memory
            double seconds = meter.seconds(assemble);
            for (int repetition = 0; repetition < 4 && options.allows(2 * seconds); ++repetition)
                seconds = std::min(seconds, meter.seconds(assemble));
            fact["seconds"] = seconds;
            fact["flops_per_second"] = flops / seconds;
        } catch (const Error& error) {
            fact["error"] = error.what();
        }
        facts.push_back(fact);
    }
    return facts;
}

}  // namespace espectra
