#include "espectra/kernels/cpu/fused/hessian_assembly.hpp"
#include "espectra/kernels/cpu/fused/shallow_hessian.hpp"
#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>

namespace espectra {

void fused_hessian(CpuContext& context, const FusedHessian& arguments) {
    require_equal("fused_hessian: examples", arguments.features.extent[1], arguments.targets.extent[1]);
    context.parallel_for(arguments.theta.extent[0], [&](Index replica, int worker) {
        Arena::Frame frame(context.arena(worker));
        if (shallow_hessian_fits(arguments.network))
            shallow_hessian(arguments, replica, context.arena(worker));
        else
            HessianAssembly(arguments, replica, context.arena(worker)).assemble();
    });
}

bool fused_hessian_fits(const NetworkView& network) {
    // On one thread the fused Hessian is 4 times faster than the steps at P = 292 (2-10-10-10-1), 2.9 times
    // at P = 540 (2-20-20-1, 16-24-4) and 1.8 times at P = 1360 (32-32-8); but it uses one thread for a
    // network, and the steps use all.
    constexpr Index widest = 32, most_parameters = 600;
    for (int l = 0; l < network.count; ++l)
        if (std::max(network.layers[l].units, network.layers[l].inputs) > widest) return false;
    return network.parameters() <= most_parameters;
}

std::size_t fused_hessian_bytes(const NetworkView& network, Index examples) {
    const AssemblySizes sizes(network);
    const Index rows = ChunkStates::row_count(network) + sizes.rows();
    const Index pointers = sizes.pointers() + sizes.factors();
    const auto bytes = static_cast<std::size_t>(rows * chunk_length(examples) + sizes.sums) * sizeof(double) +
                       static_cast<std::size_t>(pointers) * sizeof(double*);
    return shallow_hessian_fits(network) ? shallow_hessian_bytes(network, examples) : bytes;
}

Index hessian_products(const NetworkView& network) {
    const Layer* layers = network.layers;
    Index products = 0;
    for (int k = 0; k < network.count; ++k) {
        const LayerPlan p = plan_layer(layers[k], separate_outputs(network, k));
        products += p.unit_pairs * p.feature_pairs;
        if (layers[k].trainable_beta) products += p.mixed * (layers[k].inputs + 1) + p.unit_pairs;
        for (int l = 0; l < k; ++l)
            products += layers[l].units * cross_rows(layers[l]) * cross_columns(layers[k]);
    }
    return products;
}

}  // namespace espectra
