#pragma once

#include "espectra/kernels/fused_training.hpp"
#include "espectra/kernels/names.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace espectra {

enum class Optimizer { adam, gradient_descent };

constexpr Names names_of(Optimizer optimizer) {
    switch (optimizer) {
        case Optimizer::adam:
            return {"adam"};
        case Optimizer::gradient_descent:
            return {"gradient_descent"};
    }
    return {};
}

/// Full-batch training; update t = 0, 1, … has the learning rate learning_rate · decay_rate^(t /
/// decay_steps), with a real exponent.
struct TrainingSettings {
    Optimizer optimizer = Optimizer::adam;
    double learning_rate = 0.01;
    double decay_rate = 0.9;
    double decay_steps = 500;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of Adam
    bool fused = true;                                  ///< small networks in one kernel

    bool operator==(const TrainingSettings&) const = default;
};

/// The rate of update t; for Adam it contains the correction of the moments' bias.
inline double update_rate(const TrainingSettings& settings, std::int64_t t) {
    const double rate =
        settings.learning_rate * std::pow(settings.decay_rate, static_cast<double>(t) / settings.decay_steps);
    if (settings.optimizer == Optimizer::gradient_descent) return rate;
    const auto updates = static_cast<double>(t + 1);
    const double correction =
        std::sqrt(1.0 - std::pow(settings.beta2, updates)) / (1.0 - std::pow(settings.beta1, updates));
    return rate * correction;
}

/// State of R networks after `epoch` updates, on the device; cost, gradient and scores belong to this θ.
template <Backend B>
struct Snapshot {
    std::int64_t epoch = 0;
    Buffer<double, B::space> theta, gradient;  ///< [R, P]
    Buffer<double, B::space> cost, accuracy, zero_residuals,
        accuracy_test;  ///< [R]; the last empty without test set
};

/// Trains R networks of one shape together. The context and the examples have to outlive it.
template <Backend B>
class Trainer {
  public:
    /// `theta` is the initial θ [R, P] in host memory; `test` may have no examples. `of_replicas` are the
    /// settings of each replica (R) if they differ; they may differ only in the learning rate and its decay.
    Trainer(B& context, const Network& network, Examples<B::space> train, Examples<B::space> test,
            const TrainingSettings& settings, std::span<const double> theta,
            std::vector<TrainingSettings> of_replicas = {})
        : context_(&context),
          parameters_(network.parameters()),
          replicas_(static_cast<Index>(theta.size()) / parameters_),
          settings_(settings),
          rate_settings_(of_replicas.empty() ? std::vector{settings} : std::move(of_replicas)),
          train_(train),
          evaluator_(context, network, train, replicas_) {
        require_equal("initial theta", replicas_ * parameters_, static_cast<long long>(theta.size()));
        if (test.features && test.count() > 0) test_.emplace_back(context, network, test, replicas_);
        const Index size = replicas_ * parameters_;
        theta_ = Buffer<double, B::space>(context, size);
        copy(context, theta.data(), theta_.data(), size);
        const std::vector<double> zeros(static_cast<std::size_t>(size), 0.0);
        const bool adam = settings_.optimizer == Optimizer::adam;
        first_moment_ = Buffer<double, B::space>(context, adam ? size : 0);
        second_moment_ = Buffer<double, B::space>(context, adam ? size : 0);
        if (adam) {
            copy(context, zeros.data(), first_moment_.data(), size);
            copy(context, zeros.data(), second_moment_.data(), size);
        }
        diverged_ = Buffer<std::int64_t, B::space>(context, replicas_);
        const std::vector<std::int64_t> none(static_cast<std::size_t>(replicas_), -1);
        copy(context, none.data(), diverged_.data(), replicas_);
        if (rate_settings_.size() > 1)
            require_equal("settings of replicas", replicas_, static_cast<long long>(rate_settings_.size()));
        rates_ = Buffer<double, B::space>(context, std::ssize(rate_settings_) * rate_segment);
        counter_ = Buffer<std::int64_t, B::space>(context, 1);
        copy(context, &epoch_, counter_.data(), 1);
        context.synchronize();
        fused_ = settings_.fused && fused_training_fits(context, network.view(), replicas_, train.count());
    }

    std::int64_t epoch() const { return epoch_; }
    Index replicas() const { return replicas_; }

    /// How the networks are trained, for reports.
    const char* method() const { return fused_ ? B::fused_method : B::stepwise_method; }

    /// Updates θ until `epoch` updates are done. On a device the host waits only until the learning rates of
    /// the segment before have been copied.
    void advance_to(std::int64_t epoch) {
        while (epoch_ < epoch) {
            const std::int64_t in_segment = epoch_ % rate_segment;
            if (in_segment == 0) copy_rates();
            const auto epochs = std::min<std::int64_t>(epoch - epoch_, rate_segment - in_segment);
            if (fused_)
                train_fused(epochs);
            else
                train_by_operations(epochs);
            epoch_ += epochs;
            evaluated_ = false;
        }
    }

    /// Computes cost and gradient at the present θ, once per epoch.
    void evaluate() {
        if (evaluated_) return;
        evaluate_present();
        evaluated_ = true;
    }

    View<const double, 2, B::space> theta() const { return theta_.view(replicas_, parameters_); }
    const Evaluator<B>& evaluator() const { return evaluator_; }

    Snapshot<B> snapshot() {
        evaluate();
        const Index size = replicas_ * parameters_;
        Snapshot<B> state;
        state.epoch = epoch_;
        state.theta = duplicate(theta_.data(), size);
        state.gradient = duplicate(evaluator_.gradient().data, size);
        state.cost = duplicate(evaluator_.cost().data, replicas_);
        state.accuracy = Buffer<double, B::space>(*context_, replicas_);
        state.zero_residuals = Buffer<double, B::space>(*context_, replicas_);
        evaluator_.score(state.accuracy.view(replicas_), state.zero_residuals.view(replicas_));
        if (!test_.empty()) {
            state.accuracy_test = Buffer<double, B::space>(*context_, replicas_);
            Buffer<double, B::space> unused(*context_, replicas_);
            test_.front().predict(theta());
            test_.front().score(state.accuracy_test.view(replicas_), unused.view(replicas_));
        }
        return state;
    }

    /// Returns for each replica the first epoch whose cost was not finite, or −1. Waits for the device.
    std::vector<std::int64_t> diverged() {
        std::vector<std::int64_t> epochs(static_cast<std::size_t>(replicas_));
        copy(*context_, diverged_.data(), epochs.data(), replicas_);
        context_->synchronize();
        return epochs;
    }

    /// Bytes that a trainer takes on its device, without its snapshots.
    static std::size_t bytes(const Network& network, Index train_examples, Index test_examples,
                             Index replicas) {
        const Index numbers = 3 * network.parameters() + rate_segment + 2;  // the last for waits and scores
        return Evaluator<B>::bytes(network, train_examples, replicas) +
               (test_examples > 0 ? Evaluator<B>::bytes(network, test_examples, replicas) : 0) +
               // An epoch that is recorded as a graph has scratch of its own.
               (B::space == Space::host ? 0
                                        : Evaluator<B>::scratch_bytes(network, train_examples, replicas)) +
               static_cast<std::size_t>(replicas * numbers + 1) * sizeof(double) +
               fused_training_bytes<B::space>(network.view(), train_examples);
    }

  private:
    Buffer<double, B::space> duplicate(const double* source, Index count) {
        Buffer<double, B::space> target(*context_, count);
        copy(*context_, source, target.data(), count);
        return target;
    }

    /// Copies the rates of the segment that begins with the present epoch to the device.
    void copy_rates() {
        std::vector<double> rates;
        for (const TrainingSettings& settings : rate_settings_)
            for (Index i = 0; i < rate_segment; ++i) rates.push_back(update_rate(settings, epoch_ + i));
        send(*context_, rates.data(), rates_.data(), rates_.size());
    }

    View<const double, 2, B::space> rates() const {
        return rate_settings_.size() > 1 ? rates_.view(replicas_, rate_segment)
                                         : share(rates_.view(rate_segment), replicas_);
    }

    View<const std::int64_t, 1, B::space> counter() const { return counter_.view(1); }

    void evaluate_present() {
        evaluator_.evaluate(theta());
        mark_divergence(*context_, {evaluator_.cost(), counter(), diverged_.view(replicas_)});
    }

    void train_by_operations(std::int64_t epochs) {
        if (evaluated_) {
            update();
            --epochs;
        }
        repeat(*context_, recording_, epochs, [this] {
            evaluate_present();
            update();
        });
    }

    void update() {
        const auto theta = theta_.view(replicas_, parameters_);
        if (settings_.optimizer == Optimizer::adam)
            adam_step(*context_, {.beta1 = settings_.beta1,
                                  .beta2 = settings_.beta2,
                                  .epsilon = settings_.epsilon,
                                  .rates = rates(),
                                  .counter = counter(),
                                  .gradient = evaluator_.gradient(),
                                  .theta = theta,
                                  .first_moment = first_moment_.view(replicas_, parameters_),
                                  .second_moment = second_moment_.view(replicas_, parameters_)});
        else
            gradient_descent_step(
                *context_,
                {.rates = rates(), .counter = counter(), .gradient = evaluator_.gradient(), .theta = theta});
        advance_counter(*context_, {counter_.view(1), 1});
    }

    void train_fused(std::int64_t epochs) {
        fused_training(*context_, {.network = evaluator_.network().view(),
                                   .epochs = epochs,
                                   .beta1 = settings_.beta1,
                                   .beta2 = settings_.beta2,
                                   .epsilon = settings_.epsilon,
                                   .rates = rates(),
                                   .counter = counter_.view(1),
                                   .features = train_.features,
                                   .targets = train_.targets,
                                   .theta = theta_.view(replicas_, parameters_),
                                   .first_moment = first_moment_.view(replicas_, parameters_),
                                   .second_moment = second_moment_.view(replicas_, parameters_),
                                   .cost = {},
                                   .gradient = {},
                                   .first_nonfinite = diverged_.view(replicas_)});
    }

    B* context_;
    Index parameters_, replicas_;
    TrainingSettings settings_;                    // except the rates
    std::vector<TrainingSettings> rate_settings_;  // one per replica, or one for all
    Examples<B::space> train_;
    Evaluator<B> evaluator_;
    std::vector<Evaluator<B>> test_;  // none or one
    Buffer<double, B::space> theta_, first_moment_, second_moment_, rates_;
    Buffer<std::int64_t, B::space> diverged_, counter_;
    std::int64_t epoch_ = 0;
    bool evaluated_ = false;
    bool fused_ = false;               // whole epochs in one kernel
    typename B::Recording recording_;  // of an epoch; destroyed before the buffers
};

}  // namespace espectra
