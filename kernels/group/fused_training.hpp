#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/fused_training.hpp"
#include "espectra/kernels/group/group.hpp"
#include "espectra/kernels/group/optimizer.hpp"
#include "espectra/kernels/group/reduction.hpp"
#include "espectra/kernels/math/activation_jet.hpp"
#include "espectra/kernels/math/loss_terms.hpp"
#include "espectra/kernels/math/preactivation.hpp"

#include <cmath>
#include <cstdint>

// Whole epochs of a small network by one block of threads, with everything in shared memory: θ, the values of
// a chunk of examples, and the sums over examples. Each thread passes its examples forwards and backwards
// through all layers; then the group sums over the chunk, in sixteen lanes for each parameter.

namespace espectra::group {

/// First rows of a layer's values among those of a chunk, [row, example].
struct FusedLayerRows {
    int input;
    int output;  ///< a; in the last layer then the losses, one row for each output (softmax: one)
    int delta;   ///< φ_h, then δ^h
    int beta;    ///< φ_β, then δ^a φ_β; none where β is not trainable
};

struct FusedTrainingPlan {
    FusedNetwork network;
    FusedLayerRows layer[FusedNetwork::most_layers] = {};
    int probability = 0;  ///< softmax: p, then δ^a
    int rows = 0;
    int costs = 0;  ///< rows of losses
    int sums = 0;   ///< parameters, then rows of losses
};

inline FusedTrainingPlan fused_training_plan(const FusedNetwork& network) {
    FusedTrainingPlan plan;
    plan.network = network;
    int rows = network.layers[0].inputs, input = 0;
    const auto take = [&](int count) {
        rows += count;
        return rows - count;
    };
    for (int l = 0; l < network.count; ++l) {
        const FusedLayer& layer = network.layers[l];
        plan.layer[l].input = input;
        plan.layer[l].output = input = take(layer.units);
        plan.layer[l].delta = take(layer.units);
        plan.layer[l].beta = take(layer.trainable_beta ? layer.units : 0);
    }
    const int outputs = network.layers[network.count - 1].units;
    plan.probability = take(traits_of(network.loss).elementwise ? 0 : outputs);
    plan.rows = rows;
    plan.costs = static_cast<int>(loss_terms(network.loss, outputs));
    plan.sums = network.parameters + plan.costs;
    return plan;
}

/// A sum over examples: of the products of rows x and y, or of row x alone if y < 0.
struct FusedTrainingSum {
    std::int32_t x, y;
};
static_assert(sizeof(FusedTrainingSum) == sizeof(double));

/// Distance of the lanes' partial sums of neighbouring parameters: odd, so that threads which add the lanes
/// of one parameter each read different banks.
inline constexpr int lane_stride = static_cast<int>(sum_lanes) + 1;

/// Shared memory in doubles for chunks of `chunk` examples.
inline std::size_t fused_training_doubles(const FusedNetwork& network, int chunk) {
    const FusedTrainingPlan plan = fused_training_plan(network);
    return static_cast<std::size_t>(network.parameters + plan.sums * (2 + lane_stride) + plan.rows * chunk);
}

template <Space S, int Threads>
struct FusedTrainingKernel {
    static constexpr const char* name = "fused_training";
    static constexpr int threads = Threads;
    static constexpr int blocks_per_multiprocessor = 512 / Threads;  // 128 registers a thread
    static constexpr bool prefers_shared_memory = true;              // for several blocks on a multiprocessor
    static constexpr int chunk = Threads;
    static_assert(dense_chunk % chunk == 0 && chunk % sum_lanes == 0);

    FusedTraining<S> a;
    FusedTrainingPlan plan;

    Index blocks() const { return a.theta.extent[0]; }
    std::size_t shared_doubles() const { return fused_training_doubles(plan.network, chunk); }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index replica, double* shared) const {
        const int parameters = plan.network.parameters;
        double* const theta = shared;                                                  // [P]
        double* const sums = theta + parameters;                                       // gradient, costs
        auto* const sum_rows = reinterpret_cast<FusedTrainingSum*>(sums + plan.sums);  // [sums]
        double* const partial = sums + 2 * plan.sums;                                  // [sums, lane]
        double* const rows = partial + plan.sums * lane_stride;                        // [row, example]

        const Index examples = a.features.extent[1];
        const std::int64_t done = a.counter(0);
        const double weight =
            loss_weight(plan.network.loss, plan.network.layers[plan.network.count - 1].units, examples);
        for_each_item(group, parameters, [&](Index p) { theta[p] = a.theta(replica, p); });
        list_sums(group, sum_rows);
        group.sync();

        double cost = 0;  // of thread 0
        for (std::int64_t epoch = 0; epoch < a.epochs; ++epoch) {
            cost = 0;
            for (Index begin = 0; begin < examples; begin += dense_chunk) {
                const int in_dense_chunk = smaller(examples - begin, dense_chunk);
                int first = 0, count = 0, full = 0;
                for (; first < in_dense_chunk; first += chunk) {
                    count = smaller(in_dense_chunk - first, chunk);
                    full = count / lanes * lanes;
                    for_each_item(group, count, [&](Index e) {
                        const Index example = begin + first + e;
                        forward(theta, rows + e, example);
                        losses(rows + e, example, weight);
                        backward(theta, rows + e);
                    });
                    group.sync();
                    for_each_item(group, plan.sums * lanes, [&](Index item) {
                        const int sum = static_cast<int>(item) / lanes, lane = static_cast<int>(item) % lanes;
                        double& total = partial[sum * lane_stride + lane];
                        total = add_terms(sum_rows[sum], rows, lane, full, lanes, first == 0 ? 0.0 : total);
                    });
                    group.sync();
                }
                const bool last = begin + in_dense_chunk == examples;
                for_each_item(group, plan.sums, [&](Index item) {
                    const int sum = static_cast<int>(item);
                    double total = 0;
                    for (int lane = 0; lane < lanes; ++lane) total += partial[sum * lane_stride + lane];
                    total = add_terms(sum_rows[sum], rows, full, count, 1, total);
                    if (begin > 0 && sum < parameters) total = sums[sum] + total;
                    sums[sum] = total;
                    if (last && sum < parameters)
                        theta[sum] = updated(replica, sum, theta[sum], total, done + epoch);
                });
                group.sync();
                if (group.rank() == 0) {
                    double share = 0;
                    for (int c = 0; c < plan.costs; ++c) share += sums[parameters + c];
                    cost += weight * share;
                }
            }
            if (group.rank() == 0 && a.first_nonfinite(replica) < 0 && !std::isfinite(cost))
                a.first_nonfinite(replica) = done + epoch;
        }

        // Each thread writes the values that it has summed and updated itself.
        for_each_item(group, plan.sums, [&](Index p) {
            if (p >= parameters) return;
            a.theta(replica, p) = theta[p];
            if (a.gradient) a.gradient(replica, p) = sums[p];
        });
        if (group.rank() == 0 && a.cost) a.cost(replica) = cost;
    }

  private:
    static constexpr int lanes = static_cast<int>(sum_lanes);

    ESPECTRA_HD static int smaller(Index left, Index right) {
        return static_cast<int>(left < right ? left : right);
    }

    /// total + Σ of the terms first, first + step, … below `end`, in this order.
    ESPECTRA_HD static double add_terms(const FusedTrainingSum& sum, const double* rows, int first, int end,
                                        int step, double total) {
        const double* x = rows + sum.x * chunk;
        if (sum.y < 0) {
            for (int e = first; e < end; e += step) total += x[e];
        } else {
            const double* y = rows + sum.y * chunk;
            for (int e = first; e < end; e += step) total += x[e] * y[e];
        }
        return total;
    }

    template <Group G>
    ESPECTRA_HD void list_sums(const G& group, FusedTrainingSum* sum_rows) const {
        for (int l = 0; l < plan.network.count; ++l) {
            const FusedLayer& layer = plan.network.layers[l];
            const FusedLayerRows& at = plan.layer[l];
            for_each_item(group, layer.units * layer.inputs, [&](Index item) {
                const int i = static_cast<int>(item) / layer.inputs,
                          j = static_cast<int>(item) % layer.inputs;
                sum_rows[layer.weights + item] = {at.delta + i, at.input + j};
            });
            for_each_item(group, layer.units, [&](Index item) {
                const int i = static_cast<int>(item);
                sum_rows[layer.bias + i] = {at.delta + i, -1};
                if (layer.trainable_beta) sum_rows[layer.beta + i] = {at.beta + i, -1};
            });
        }
        for_each_item(group, plan.costs, [&](Index c) {
            const int output = plan.layer[plan.network.count - 1].output;
            sum_rows[plan.network.parameters + c] = {output + static_cast<int>(c), -1};
        });
    }

    /// Computes outputs, φ_h and φ_β of one example, whose values are a column of the rows.
    ESPECTRA_HD void forward(const double* theta, double* column, Index example) const {
        for (int j = 0; j < plan.network.layers[0].inputs; ++j) column[j * chunk] = a.features(j, example);
        for (int l = 0; l < plan.network.count; ++l) {
            const FusedLayer& layer = plan.network.layers[l];
            const FusedLayerRows& at = plan.layer[l];
            const double* input = column + at.input * chunk;
            visit_activation(layer.activation, [&](auto activation) {
                for (int i = 0; i < layer.units; ++i) {
                    const double* weights = theta + layer.weights + i * layer.inputs;
                    const double h = preactivation<double>(
                        layer.inputs, [&](Index j) { return weights[j]; },
                        [&](Index j) { return input[j * chunk]; }, theta[layer.bias + i]);
                    const double beta = layer.trainable_beta ? theta[layer.beta + i] : layer.fixed_beta;
                    const ActivationJet jet = activation_jet<activation.value>(h, beta);
                    column[(at.output + i) * chunk] = jet.value;
                    column[(at.delta + i) * chunk] = jet.d_h;
                    if (layer.trainable_beta) column[(at.beta + i) * chunk] = jet.d_beta;
                }
            });
        }
    }

    /// ℓ in place of the outputs, δ^h and δ^a φ_β of the last layer.
    ESPECTRA_HD void losses(double* column, Index example, double weight) const {
        const FusedLayer& layer = plan.network.layers[plan.network.count - 1];
        const FusedLayerRows& at = plan.layer[plan.network.count - 1];
        double* const z = column + at.output * chunk;
        if (!traits_of(plan.network.loss).elementwise) {
            double* const p = column + plan.probability * chunk;
            const Softmax soft = softmax(
                layer.units, [&](Index c) { return z[c * chunk]; },
                [&](Index c) -> double& { return p[c * chunk]; });
            double value = 0;
            for (int c = 0; c < layer.units; ++c) {
                const double y = a.targets(c, example);
                value += soft.value(z[c * chunk], y);
                set_delta(layer, at, column, c, weight * soft.first(c, p[c * chunk], y));
            }
            z[0] = value;
            return;
        }
        for (int c = 0; c < layer.units; ++c) {
            const LossJet jet = elementwise_loss(plan.network.loss, z[c * chunk], a.targets(c, example));
            z[c * chunk] = jet.value;
            set_delta(layer, at, column, c, weight * jet.first);
        }
    }

    ESPECTRA_HD void backward(const double* theta, double* column) const {
        for (int l = plan.network.count - 1; l > 0; --l) {
            const FusedLayer& layer = plan.network.layers[l];
            const double* delta = column + plan.layer[l].delta * chunk;
            for (int j = 0; j < layer.inputs; ++j) {
                const double* weights = theta + layer.weights + j;
                double sum = 0;
                for (int i = 0; i < layer.units; ++i) sum += weights[i * layer.inputs] * delta[i * chunk];
                set_delta(plan.network.layers[l - 1], plan.layer[l - 1], column, j, sum);
            }
        }
    }

    /// δ^h = δ^a φ_h and δ^a φ_β of unit i.
    ESPECTRA_HD static void set_delta(const FusedLayer& layer, const FusedLayerRows& at, double* column,
                                      int i, double output_delta) {
        column[(at.delta + i) * chunk] *= output_delta;
        if (layer.trainable_beta) column[(at.beta + i) * chunk] *= output_delta;
    }

    /// Returns θ of one parameter after the update of epoch t; its moments are in global memory.
    ESPECTRA_HD double updated(Index replica, int p, double theta, double gradient, std::int64_t t) const {
        const double rate = a.rates(replica, t % rate_segment);
        if (!a.first_moment) return gradient_descent_update(theta, gradient, rate);
        return adam_update(theta, gradient, rate, a.beta1, a.beta2, a.epsilon, a.first_moment(replica, p),
                           a.second_moment(replica, p));
    }
};

/// Most networks that are trained by blocks of 512 threads, which are done sooner; more networks take blocks
/// of 128, of which a multiprocessor runs several. Neither this limit nor the next ones have been measured.
inline constexpr Index few_replicas = 128;

/// Limits of fused training: a block processes the examples chunk by chunk, so that with more examples than
/// this and fewer replicas, kernels that divide the examples among blocks are expected to be faster.
inline constexpr Index fused_training_examples = 4096, fused_training_replicas = 32;

/// Like fused_training_fits of the contract; most_shared_bytes(context) is the shared memory that a block can
/// have.
template <class C>
bool fused_training_fits(const C& context, const NetworkView& network, Index replicas, Index examples) {
    return fused_training_takes(network) &&
           fused_training_doubles(fused_network(network), 128) * sizeof(double) <=
               most_shared_bytes(context) &&
           (examples <= fused_training_examples || replicas >= fused_training_replicas);
}

template <class C>
void fused_training(C& context, const FusedTraining<C::space>& arguments) {
    const FusedTrainingPlan plan = fused_training_plan(fused_network(arguments.network));
    if (arguments.theta.extent[0] <= few_replicas &&
        fused_training_doubles(plan.network, 512) * sizeof(double) <= most_shared_bytes(context))
        launch(context, FusedTrainingKernel<C::space, 512>{arguments, plan});
    else
        launch(context, FusedTrainingKernel<C::space, 128>{arguments, plan});
    launch(context, AdvanceCounterKernel<C::space>{{arguments.counter, arguments.epochs}});
}

}  // namespace espectra::group
