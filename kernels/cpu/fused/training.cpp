#include "espectra/kernels/cpu/activation_jets.hpp"
#include "espectra/kernels/cpu/exponentials.hpp"
#include "espectra/kernels/cpu/fused/row_products.hpp"
#include "espectra/kernels/cpu/fused/strip_sums.hpp"
#include "espectra/kernels/cpu/fused/training_memory.hpp"
#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/fused_training.hpp"
#include "espectra/kernels/math/activation_jet.hpp"
#include "espectra/kernels/math/loss_terms.hpp"
#include "espectra/kernels/math/parameter_update.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

// Whole epochs of a small network on one thread. A chunk of examples passes through all layers forwards and
// backwards while its values are in the L1 cache; then the sixteen lanes of every sum over examples advance
// by the chunk. Every number results from the same operations in the same order as in the operations of the
// CPU backend; chunks are padded with examples of zeros, which no sum includes.

namespace espectra {

namespace {

using namespace training;

/// Replaces h by φ and writes its derivatives, for one unit; d_beta only with Beta.
template <Activation A, bool Beta>
void activate(double* __restrict h, double beta, const double* __restrict exponential, int count,
              double* __restrict d_h, double* __restrict d_beta) {
    for (int e = 0; e < count / lanes * lanes; ++e)
        store_jet<A, Order::first, Beta>(e, h[e], beta, exponential, h, d_h, d_beta);
}

void scale(const double* __restrict factor, int count, double* __restrict row) {
    for (int e = 0; e < count / lanes * lanes; ++e) row[e] *= factor[e];
}

/// Writes δ^a of one output, and with Cost replaces its logits by its losses. Returns true if a logit is far.
template <Loss L, bool Cost>
bool elementwise_losses(double* __restrict z, const double* __restrict y, double weight, int count,
                        const ExponentialRows& rows, double* __restrict delta) {
    std::int64_t is_far = 0;
    const double* __restrict exponential = rows.exponential;
    if constexpr (traits_of(L).exponential) exponentials(z, rows, count);
    for (int e = 0; e < count / lanes * lanes; ++e) {
        const double logit = z[e];
        const LossJet jet = elementwise_loss<L>(logit, y[e], traits_of(L).exponential ? exponential[e] : 1.0);
        delta[e] = weight * jet.first;
        if constexpr (Cost) z[e] = jet.value;
        is_far |= std::fabs(logit) < far ? 0 : 1;
    }
    return is_far != 0;
}

/// Training of one replica.
class Replica {
  public:
    Replica(const FusedTraining<Space::host>& arguments, const Plan& plan, const PackedExamples& examples,
            Index replica, Arena& arena)
        : a_(arguments), plan_(plan), examples_(examples), replica_(replica) {
        const auto take = [&](Index count) {
            auto* values = arena.take<double>(count);
            std::fill_n(values, count, 0.0);
            return values;
        };
        theta_ = take(plan.parameters);
        first_ = take(plan.parameters);
        second_ = take(plan.parameters);
        gradient_ = take(plan.parameters);
        totals_ = take(plan.parameters + plan.costs);
        partial_ = take(Index{plan_.network.parameters + plan.costs} * lanes);
        rows_ = take(Index{plan.rows} * chunk);
        weight_ = loss_weight(plan_.network.loss, last_layer().units, examples.examples);
    }

    void train() {
        const int parameters = plan_.network.parameters;
        std::copy_n(&a_.theta(replica_, 0), parameters, theta_);
        if (a_.first_moment) {
            std::copy_n(&a_.first_moment(replica_, 0), parameters, first_);
            std::copy_n(&a_.second_moment(replica_, 0), parameters, second_);
        }
        const std::int64_t done = a_.counter(0);
        for (std::int64_t epoch = done; epoch < done + a_.epochs; ++epoch) {
            // The cost is needed where it is returned or not finite.
            const bool marked = a_.first_nonfinite(replica_) >= 0;
            bool with_cost = (epoch + 1 == done + a_.epochs && a_.cost) || (!marked && examples_.far_targets);
            const bool far_logits = evaluate(with_cost);
            if (!with_cost && !marked && far_logits) evaluate(with_cost = true);
            if (with_cost && !marked && !std::isfinite(cost_)) a_.first_nonfinite(replica_) = epoch;
            update(a_.rates(replica_, epoch % rate_segment));
        }
        std::copy_n(theta_, parameters, &a_.theta(replica_, 0));
        if (a_.first_moment) {
            std::copy_n(first_, parameters, &a_.first_moment(replica_, 0));
            std::copy_n(second_, parameters, &a_.second_moment(replica_, 0));
        }
        if (a_.gradient) std::copy_n(gradient_, parameters, &a_.gradient(replica_, 0));
        if (a_.cost) a_.cost(replica_) = cost_;
    }

  private:
    double* row(int index) const { return rows_ + Index{index} * count_; }
    ExponentialRows exponential_rows() const {
        return {row(plan_.exponential + units_at_once), Index{units_at_once} * count_};
    }
    const FusedLayer& last_layer() const { return plan_.network.layers[plan_.network.count - 1]; }
    const Plan::LayerRows& last_rows() const { return plan_.layer[plan_.network.count - 1]; }
    const double* input(int l, Index chunk_index) const {
        return l == 0 ? examples_.features + chunk_index * examples_.inputs * chunk
                      : row(plan_.layer[l - 1].output);
    }

    /// Evaluates the gradient at θ and, with_cost, the cost. Returns true if a logit is far.
    bool evaluate(bool with_cost) {
        bool is_far = false;
        cost_ = 0;
        for (Index begin = 0; begin < examples_.examples; begin += dense_chunk) {
            const int in_dense_chunk = static_cast<int>(std::min(examples_.examples - begin, dense_chunk));
            std::fill_n(partial_, (plan_.network.parameters + plan_.costs) * lanes, 0.0);
            for (int first = 0; first < in_dense_chunk; first += chunk) {
                const Index index = (begin + first) / chunk;
                const int count = std::min(in_dense_chunk - first, chunk);
                count_ = static_cast<int>(round_up(count, lanes));
                forward(index);
                is_far = losses(index, with_cost) || is_far;
                backward();
                add_to_sums(index, count / lanes, with_cost);
            }
            finish_sums((begin + in_dense_chunk - 1) / chunk, in_dense_chunk % chunk, with_cost);
            for (int p = 0; p < plan_.parameters; ++p)
                gradient_[p] = begin > 0 ? gradient_[p] + totals_[p] : totals_[p];
            double share = 0;
            for (int c = 0; c < plan_.costs; ++c) share += totals_[plan_.network.parameters + c];
            cost_ += weight_ * share;
        }
        return is_far;
    }

    /// Writes the outputs, φ_h and φ_β of all layers.
    void forward(Index chunk_index) {
        for (int l = 0; l < plan_.network.count; ++l)
            visit_activation(plan_.network.layers[l].activation, [&](auto activation) {
                for (int i = 0; i < plan_.network.layers[l].units; i += units_at_once)
                    activate_units<activation.value>(l, i, input(l, chunk_index));
            });
    }

    /// Evaluates units_at_once or fewer units of layer l, beginning with unit `first`.
    template <Activation A>
    void activate_units(int l, int first, const double* x) {
        const FusedLayer& layer = plan_.network.layers[l];
        const Plan::LayerRows& at = plan_.layer[l];
        double* arguments = row(plan_.exponential);
        const ExponentialRows rows = exponential_rows();
        const int units = std::min(layer.units - first, units_at_once);
        const auto beta = [&](int i) {
            return layer.trainable_beta ? theta_[layer.beta + i] : layer.fixed_beta;
        };
        for (int n = 0; n < units; ++n) {
            const int i = first + n;
            double* h_row = row(at.output + i);
            double* argument = arguments + n * count_;
            const auto store = [ h_row, argument, bias = theta_[layer.bias + i], beta = beta(i) ](
                int e, double sum) __attribute__((always_inline)) {
                const double h = sum + bias;
                h_row[e] = h;
                if constexpr (has_exponential<A>) argument[e] = exponential_argument<A>(h, beta);
            };
            sum_all_products<Start::first_product>(layer.inputs, theta_ + layer.weights + i * layer.inputs, 1,
                                                   x, count_, row(plan_.scratch), store);
        }
        if constexpr (has_exponential<A>) exponentials(arguments, rows, units * count_);
        for (int n = 0; n < units; ++n) {
            const int i = first + n;
            const auto activate_unit = layer.trainable_beta ? activate<A, true> : activate<A, false>;
            activate_unit(row(at.output + i), beta(i), rows.exponential + n * count_, count_,
                          row(at.delta + i), row(at.beta + i));
        }
    }

    /// Replaces φ_h and φ_β of unit i by δ^h = δ^a φ_h and δ^a φ_β.
    void set_delta(const FusedLayer& layer, const Plan::LayerRows& at, int i, const double* output_delta) {
        scale(output_delta, count_, row(at.delta + i));
        if (layer.trainable_beta) scale(output_delta, count_, row(at.beta + i));
    }

    /// Writes δ^h and δ^a φ_β of the last layer and, with_cost, replaces the outputs by the losses. Returns
    /// true if a logit is far.
    bool losses(Index chunk_index, bool with_cost) {
        const double* y = examples_.targets + chunk_index * examples_.outputs * chunk;
        using LossesOfOutput = decltype(&elementwise_losses<Loss::mean_squared_error, true>);
        const auto losses_of_output = visit_loss(plan_.network.loss, [&](auto loss) -> LossesOfOutput {
            if constexpr (traits_of(loss).elementwise)
                return with_cost ? elementwise_losses<loss.value, true>
                                 : elementwise_losses<loss.value, false>;
            return nullptr;
        });
        if (!losses_of_output) return softmax_losses(y);
        bool is_far = false;
        for (int c = 0; c < last_layer().units; ++c) {
            double* delta = row(plan_.scratch);
            is_far = losses_of_output(row(last_rows().output + c), y + c * count_, weight_, count_,
                                      exponential_rows(), delta) ||
                     is_far;
            set_delta(last_layer(), last_rows(), c, delta);
        }
        return is_far;
    }

    bool softmax_losses(const double* y) {
        const int count = count_;
        const int outputs = last_layer().units;
        double* z = row(last_rows().output);
        double* p = row(plan_.probability);
        bool is_far = false;
        for (int e = 0; e < count; ++e) {
            const Softmax soft = softmax(
                outputs, [&](Index c) { return z[c * count + e]; },
                [&](Index c) -> double& { return p[c * count + e]; });
            double value = 0;
            for (int c = 0; c < outputs; ++c) {
                const double logit = z[c * count + e], target = y[c * count + e];
                value += soft.value(logit, target);
                is_far = is_far || !(std::fabs(logit) < far);
                p[c * count + e] = weight_ * soft.first(c, p[c * count + e], target);
            }
            z[e] = value;
        }
        for (int c = 0; c < outputs; ++c) set_delta(last_layer(), last_rows(), c, p + c * count);
        return is_far;
    }

    /// Replaces φ_h and φ_β by δ^h and δ^a φ_β in the layers before the last.
    void backward() {
        for (int l = plan_.network.count - 1; l > 0; --l) {
            const FusedLayer &layer = plan_.network.layers[l], &previous = plan_.network.layers[l - 1];
            const auto pull_back = [&](int j, const auto& store) {
                sum_all_products<Start::zero>(layer.units, theta_ + layer.weights + j, layer.inputs,
                                              row(plan_.layer[l].delta), count_, row(plan_.scratch), store);
            };
            for (int j = 0; j < layer.inputs; ++j) {
                double* d_h = row(plan_.layer[l - 1].delta + j);
                double* d_beta = row(plan_.layer[l - 1].beta + j);
                if (previous.trainable_beta)
                    pull_back(
                        j, [=](int e, double delta) __attribute__((always_inline)) {
                            d_h[e] *= delta;
                            d_beta[e] *= delta;
                        });
                else
                    pull_back(
                        j, [=](int e, double delta) __attribute__((always_inline)) { d_h[e] *= delta; });
            }
        }
    }

    /// Adds the full strips of a chunk to the lanes of all sums.
    void add_to_sums(Index chunk_index, int strips, bool with_cost) {
        const auto lanes_of = [&](int sum) { return partial_ + Index{sum} * lanes; };
        for (int l = 0; l < plan_.network.count; ++l) {
            const FusedLayer& layer = plan_.network.layers[l];
            const Plan::LayerRows& at = plan_.layer[l];
            add_product_strips(row(at.delta), layer.units, input(l, chunk_index), layer.inputs, count_,
                               strips, lanes_of(layer.weights));
            add_all_strips(row(at.delta), layer.units, count_, strips, lanes_of(layer.bias));
            if (layer.trainable_beta)
                add_all_strips(row(at.beta), layer.units, count_, strips, lanes_of(layer.beta));
        }
        if (with_cost)
            add_all_strips(row(last_rows().output), plan_.costs, count_, strips,
                           lanes_of(plan_.network.parameters));
    }

    /// Forms the totals of dense_chunk examples: the lanes from left to right, then the examples of
    /// the last chunk that fill no strip.
    void finish_sums(Index chunk_index, int count, bool with_cost) {
        for (int sum = 0; sum < plan_.network.parameters + plan_.costs; ++sum) {
            double total = 0;
            for (int lane = 0; lane < lanes; ++lane) total += partial_[Index{sum} * lanes + lane];
            totals_[sum] = total;
        }
        for (int e = count / lanes * lanes; e < count; ++e) {
            for (int l = 0; l < plan_.network.count; ++l) {
                const FusedLayer& layer = plan_.network.layers[l];
                const Plan::LayerRows& at = plan_.layer[l];
                const double* x = input(l, chunk_index);
                for (int i = 0; i < layer.units; ++i) {
                    const double delta = row(at.delta + i)[e];
                    double* weights = totals_ + layer.weights + i * layer.inputs;
                    for (int j = 0; j < layer.inputs; ++j) weights[j] += delta * x[j * count_ + e];
                    totals_[layer.bias + i] += delta;
                    if (layer.trainable_beta) totals_[layer.beta + i] += row(at.beta + i)[e];
                }
            }
            if (!with_cost) continue;
            for (int c = 0; c < plan_.costs; ++c)
                totals_[plan_.network.parameters + c] += row(last_rows().output + c)[e];
        }
    }

    void update(double rate) {
        if (a_.first_moment)
            adam(plan_.parameters, gradient_, rate, a_.beta1, a_.beta2, a_.epsilon, theta_, first_, second_);
        else
            descend(plan_.parameters, gradient_, rate, theta_);
    }

    static void adam(int count, const double* __restrict gradient, double rate, double beta1, double beta2,
                     double epsilon, double* __restrict theta, double* __restrict first,
                     double* __restrict second) {
        for (int p = 0; p < count / lanes * lanes; ++p)
            theta[p] = adam_update(theta[p], gradient[p], rate, beta1, beta2, epsilon, first[p], second[p]);
    }

    static void descend(int count, const double* __restrict gradient, double rate, double* __restrict theta) {
        for (int p = 0; p < count / lanes * lanes; ++p)
            theta[p] = gradient_descent_update(theta[p], gradient[p], rate);
    }

    const FusedTraining<Space::host>& a_;
    const Plan& plan_;
    const PackedExamples& examples_;
    Index replica_;
    double weight_, cost_ = 0;
    int count_ = 0;                                 // examples in the rows of this chunk
    double *theta_, *first_, *second_, *gradient_;  // [P], padded to whole vectors
    double* totals_;                                // [P and costs] of dense_chunk examples
    double* partial_;                               // [P and costs, lane]
    double* rows_;                                  // [row, example of a chunk]
};

}  // namespace

void fused_training(CpuContext& context, const FusedTraining<Space::host>& arguments) {
    const Plan plan(arguments.network);
    Arena::Frame frame(context.arena());
    const PackedExamples examples(arguments.features, arguments.targets, context.arena());
    context.parallel_for(arguments.theta.extent[0], [&](Index replica, int worker) {
        Arena::Frame own(context.arena(worker));
        Replica(arguments, plan, examples, replica, context.arena(worker)).train();
    });
    arguments.counter(0) += arguments.epochs;
}

bool fused_training_fits(CpuContext& context, const NetworkView& network, Index replicas, Index examples) {
    constexpr Index most_doubles = 48 * 1024;  // 384 KB, of the order of an L2 cache
    constexpr Index most_examples = 4096;      // of fewer replicas than threads
    return fused_training_takes(network) && examples > 0 && Plan(network).doubles() <= most_doubles &&
           (examples <= most_examples || replicas >= context.threads());
}

}  // namespace espectra
