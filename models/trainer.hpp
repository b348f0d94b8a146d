#pragma once

#include "espectra/kernels/optimizer.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace espectra {

enum class Optimizer { adam, gradient_descent };

/// Full-batch training with a learning rate of learning_rate · decay_rate^(t / decay_steps), t = 0, 1, …,
/// continuous.
struct TrainingSettings {
    Optimizer optimizer = Optimizer::adam;
    double learning_rate = 0.01;
    double decay_rate = 0.9;
    double decay_steps = 500;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of Adam
};

/// State of R networks after `epoch` updates, on the device; cost, gradient and scores belong to this θ.
template <Backend B>
struct Snapshot {
    std::int64_t epoch = 0;
    Buffer<double, B::space> theta, gradient;  ///< [R, P]
    Buffer<double, B::space> cost, accuracy, zero_residuals,
        accuracy_test;  ///< [R]; the last empty without test set
};

/// Trains R networks of one shape together. Context and examples have to outlive it.
template <Backend B>
class Trainer {
  public:
    /// `theta` is the initial θ [R, P] on the host. `test` may have no examples.
    Trainer(B& context, const Network& network, Examples<B::space> train, Examples<B::space> test,
            const TrainingSettings& settings, std::span<const double> theta)
        : context_(&context),
          parameters_(network.parameters()),
          replicas_(static_cast<Index>(theta.size()) / parameters_),
          settings_(settings),
          evaluator_(context, network, train, replicas_) {
        require_equal("initial theta", replicas_ * parameters_, static_cast<long long>(theta.size()));
        if (test.features && test.count() > 0) test_.emplace_back(context, network, test, replicas_);
        const Index size = replicas_ * parameters_;
        theta_ = Buffer<double, B::space>(context, size);
        copy(context, theta.data(), theta_.data(), size);
        const std::vector<double> zeros(static_cast<std::size_t>(size), 0.0);
        const bool adam = settings.optimizer == Optimizer::adam;
        first_moment_ = Buffer<double, B::space>(context, adam ? size : 0);
        second_moment_ = Buffer<double, B::space>(context, adam ? size : 0);
        if (adam) {
            copy(context, zeros.data(), first_moment_.data(), size);
            copy(context, zeros.data(), second_moment_.data(), size);
        }
        diverged_ = Buffer<std::int64_t, B::space>(context, replicas_);
        const std::vector<std::int64_t> none(static_cast<std::size_t>(replicas_), -1);
        copy(context, none.data(), diverged_.data(), replicas_);
        context.synchronize();
    }

    std::int64_t epoch() const { return epoch_; }
    Index replicas() const { return replicas_; }

    /// Updates until `epoch` of them are done.
    void advance_to(std::int64_t epoch) {
        while (epoch_ < epoch) {
            evaluate();
            update();
        }
    }

    /// Cost and gradient at the present θ (computed once per epoch).
    void evaluate() {
        if (evaluated_) return;
        evaluator_.evaluate(theta());
        mark_divergence(*context_, evaluator_.cost(), epoch_, diverged_.view(replicas_));
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

    /// Per replica, the first epoch whose cost was not finite, or −1. Waits for the device.
    std::vector<std::int64_t> diverged() {
        std::vector<std::int64_t> epochs(static_cast<std::size_t>(replicas_));
        copy(*context_, diverged_.data(), epochs.data(), replicas_);
        context_->synchronize();
        return epochs;
    }

    /// Memory that a trainer takes on its device.
    static std::size_t bytes(const Network& network, Index train_examples, Index test_examples,
                             Index replicas) {
        return Evaluator<B>::bytes(network, train_examples, replicas) +
               Evaluator<B>::bytes(network, test_examples, replicas) +
               static_cast<std::size_t>(3 * replicas * network.parameters()) * sizeof(double);
    }

  private:
    Buffer<double, B::space> duplicate(const double* source, Index count) {
        Buffer<double, B::space> target(*context_, count);
        copy(*context_, source, target.data(), count);
        return target;
    }

    void update() {
        const double rate =
            settings_.learning_rate *
            std::pow(settings_.decay_rate, static_cast<double>(epoch_) / settings_.decay_steps);
        const auto theta = theta_.view(replicas_, parameters_);
        if (settings_.optimizer == Optimizer::adam) {
            const auto t = static_cast<double>(epoch_ + 1);
            const double correction =
                std::sqrt(1.0 - std::pow(settings_.beta2, t)) / (1.0 - std::pow(settings_.beta1, t));
            adam_step(*context_, {.rate = rate * correction,
                                  .beta1 = settings_.beta1,
                                  .beta2 = settings_.beta2,
                                  .epsilon = settings_.epsilon,
                                  .gradient = evaluator_.gradient(),
                                  .theta = theta,
                                  .first_moment = first_moment_.view(replicas_, parameters_),
                                  .second_moment = second_moment_.view(replicas_, parameters_)});
        } else {
            gradient_descent_step(*context_,
                                  {.rate = rate, .gradient = evaluator_.gradient(), .theta = theta});
        }
        ++epoch_;
        evaluated_ = false;
    }

    B* context_;
    Index parameters_, replicas_;
    TrainingSettings settings_;
    Evaluator<B> evaluator_;
    std::vector<Evaluator<B>> test_;  // none or one
    Buffer<double, B::space> theta_, first_moment_, second_moment_;
    Buffer<std::int64_t, B::space> diverged_;
    std::int64_t epoch_ = 0;
    bool evaluated_ = false;
};

}  // namespace espectra
