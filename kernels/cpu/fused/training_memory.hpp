#pragma once

#include "espectra/kernels/cpu/fused/row_products.hpp"
#include "espectra/kernels/fused_training.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <algorithm>
#include <cmath>

// Memory of a small network's training: rows of a chunk, and the examples packed in chunks.

namespace espectra::training {

/// Logits and targets below this have a finite cost.
inline constexpr double far = 1e100;

/// Units whose exponentials are evaluated together, in long loops.
inline constexpr int units_at_once = 4;

constexpr Index round_up(Index count, Index multiple) { return (count + multiple - 1) / multiple * multiple; }

/// Rows of a chunk by layer, and numbers of rows, costs and parameters.
struct Plan {
    struct LayerRows {
        int output, delta, beta;  ///< first rows; beta: none where β is not trainable
    };
    FusedNetwork network;
    LayerRows layer[FusedNetwork::most_layers] = {};
    int probability = 0;  ///< rows of p, for softmax
    int rows = 0;
    int scratch = 0;      ///< one row
    int exponential = 0;  ///< rows of arguments, then those of ExponentialRows
    int costs = 0;        ///< rows of losses
    int parameters = 0;   ///< rounded up to whole vectors
    /// Numbers that a replica keeps in memory.
    Index doubles() const {
        return 5 * parameters + Index{parameters + costs} * lanes + costs + rows * chunk;
    }

    explicit Plan(const NetworkView& view) : network(fused_network(view)) {
        const auto take = [&](int count) {
            rows += count;
            return rows - count;
        };
        scratch = take(1);
        exponential = take(4 * units_at_once);
        for (int l = 0; l < network.count; ++l) {
            const FusedLayer& at = network.layers[l];
            layer[l].output = take(at.units);
            layer[l].delta = take(at.units);
            layer[l].beta = take(at.trainable_beta ? at.units : 0);
        }
        const int outputs = network.layers[network.count - 1].units;
        probability = take(traits_of(network.loss).elementwise ? 0 : outputs);
        costs = static_cast<int>(loss_terms(network.loss, outputs));
        parameters = static_cast<int>(round_up(network.parameters, lanes));
    }
};

/// Examples in chunks, [chunk, row, example], padded with zeros to a multiple of the lanes.
struct PackedExamples {
    Index examples;
    int inputs, outputs;
    double* features;
    double* targets;
    bool far_targets = false;  ///< costs may be infinite for any logits

    static Index doubles(Index rows, Index examples) { return rows * round_up(examples, lanes); }

    PackedExamples(View<const double, 2> x, View<const double, 2> y, Arena& arena)
        : examples(x.extent[1]),
          inputs(static_cast<int>(x.extent[0])),
          outputs(static_cast<int>(y.extent[0])),
          features(pack(x, arena)),
          targets(pack(y, arena)) {
        for (Index i = 0; i < doubles(outputs, examples); ++i)
            far_targets = far_targets || !(std::fabs(targets[i]) < far);
    }

    static double* pack(View<const double, 2> rows, Arena& arena) {
        const Index count = doubles(rows.extent[0], rows.extent[1]);
        auto* packed = arena.take<double>(count);
        double* out = packed;
        for (Index begin = 0; begin < rows.extent[1]; begin += chunk)
            for (Index row = 0; row < rows.extent[0]; ++row)
                for (Index e = begin; e < std::min<Index>(begin + chunk, round_up(rows.extent[1], lanes));
                     ++e)
                    *out++ = e < rows.extent[1] ? rows(row, e) : 0.0;
        return packed;
    }
};

}  // namespace espectra::training
