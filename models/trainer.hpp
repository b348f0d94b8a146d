#pragma once

#include "espectra/kernels/fused_training.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/mini_batches.hpp"
#include "espectra/models/training_settings.hpp"
#include "espectra/models/update_rule.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace espectra {

/// State of R networks after `epoch` epochs, on the device; cost, gradient and scores belong to this θ and to
/// all training examples.
template <Backend B>
struct Snapshot {
    std::int64_t epoch = 0;
    Buffer<double, B::space> theta, gradient;                 ///< [R, P]
    Buffer<double, B::space> cost, accuracy, zero_residuals;  ///< [R]
    Buffer<double, B::space> cost_test, accuracy_test;        ///< [R], empty without test set
};

/// Trains R networks of one shape together. The context and the examples have to outlive it.
template <Backend B>
class Trainer {
  public:
    /// `theta` is the initial θ [R, P] in host memory; `test` may have no examples. `of_replicas` are the
    /// settings of each replica (R) if they differ, as far as they may; `shuffle_seeds` (R) those of their
    /// mini-batches, which the full batch does not need.
    Trainer(B& context, const Network& network, Examples<B::space> train, Examples<B::space> test,
            const TrainingSettings& settings, std::span<const double> theta,
            std::vector<TrainingSettings> of_replicas = {},
            const std::vector<std::uint64_t>& shuffle_seeds = {})
        : context_(&context),
          parameters_(network.parameters()),
          replicas_(static_cast<Index>(theta.size()) / parameters_),
          settings_(settings),
          updates_per_epoch_(espectra::updates_per_epoch(settings, train.count())),
          train_(train),
          evaluator_(context, network, train, replicas_),
          rule_(context, network, replicas_, settings, std::move(of_replicas), updates_per_epoch_) {
        require_equal("initial theta", replicas_ * parameters_, static_cast<long long>(theta.size()));
        if (test.features && test.count() > 0) test_.emplace_back(context, network, test, replicas_);
        const Index size = replicas_ * parameters_;
        theta_ = Buffer<double, B::space>(context, size);
        copy(context, theta.data(), theta_.data(), size);
        diverged_ = Buffer<std::int64_t, B::space>(context, replicas_);
        const std::vector<std::int64_t> none(static_cast<std::size_t>(replicas_), -1);
        copy(context, none.data(), diverged_.data(), replicas_);
        counter_ = Buffer<std::int64_t, B::space>(context, 1);
        copy(context, &epoch_, counter_.data(), 1);
        context.synchronize();
        fused_ = settings_.fused && has_fused_training(settings_, network, train.count()) &&
                 fused_training_fits(context, network.view(), replicas_, train.count());
        if (updates_per_epoch_ == 1) return;
        require_equal("seeds of mini-batches", replicas_, static_cast<long long>(shuffle_seeds.size()));
        batches_ =
            std::make_unique<MiniBatches<B>>(context, network, train, shuffle_seeds, settings.batch_size);
    }

    std::int64_t epoch() const { return epoch_; }
    Index replicas() const { return replicas_; }
    std::int64_t updates_per_epoch() const { return updates_per_epoch_; }

    /// How the networks are trained, for reports.
    const char* method() const { return fused_ ? B::fused_method : B::stepwise_method; }

    /// Updates θ until `epoch` epochs are done. On a device the host waits only until the learning rates of
    /// the segment before have been copied.
    void advance_to(std::int64_t epoch) {
        while (epoch_ < epoch) {
            if (batches_) {
                train_in_batches();
                ++epoch_;
            } else {
                const std::int64_t in_segment = epoch_ % rate_segment;
                if (in_segment == 0) rule_.load_rates(epoch_);
                const auto epochs = std::min<std::int64_t>(epoch - epoch_, rate_segment - in_segment);
                if (fused_)
                    train_fused(epochs);
                else
                    train_by_operations(epochs);
                epoch_ += epochs;
            }
            evaluated_ = false;
        }
    }

    /// Computes cost and gradient of all examples at the present θ, once per epoch.
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
            state.cost_test = duplicate(test_.front().cost().data, replicas_);
            test_.front().score(state.accuracy_test.view(replicas_), unused.view(replicas_));
        }
        return state;
    }

    /// Returns a number of each replica at the present θ, on the host. Those of the test set need one.
    std::vector<double> watched(Watched quantity) {
        if (quantity == Watched::cost) {
            evaluate();
            return fetch(*context_, evaluator_.cost().data, replicas_);
        }
        Evaluator<B>& test = test_.at(0);
        test.predict(theta());
        if (quantity == Watched::cost_test) return fetch(*context_, test.cost().data, replicas_);
        Buffer<double, B::space> accuracy(*context_, replicas_), unused(*context_, replicas_);
        test.score(accuracy.view(replicas_), unused.view(replicas_));
        return fetch(*context_, accuracy.data(), replicas_);
    }

    /// Leaves θ of a replica as it is from now on, while the others are trained. There have to be settings of
    /// each replica.
    void stop(Index replica) {
        rule_.stop(replica);
        const std::int64_t t = epoch_ * updates_per_epoch_, in_segment = t % rate_segment;
        if (in_segment > 0) rule_.load_rates(t - in_segment);
    }

    /// Returns for each replica the first epoch with a cost that was not finite, or −1. Waits for the device.
    std::vector<std::int64_t> diverged() {
        std::vector<std::int64_t> epochs(static_cast<std::size_t>(replicas_));
        copy(*context_, diverged_.data(), epochs.data(), replicas_);
        context_->synchronize();
        for (std::int64_t& update : epochs)
            if (update > 0) update /= updates_per_epoch_;
        return epochs;
    }

    /// Bytes that a trainer takes on its device, without its snapshots.
    static std::size_t bytes(const Network& network, Index train_examples, Index test_examples,
                             Index replicas, const TrainingSettings& settings) {
        const Index numbers = UpdateRule<B>::doubles(network.parameters(), replicas) +
                              replicas * (network.parameters() + 2) +
                              1;  // divergence and scores; the counter
        const bool batches = espectra::updates_per_epoch(settings, train_examples) > 1;
        return Evaluator<B>::bytes(network, train_examples, replicas) +
               (test_examples > 0 ? Evaluator<B>::bytes(network, test_examples, replicas) : 0) +
               (batches ? MiniBatches<B>::bytes(network, train_examples, replicas, settings.batch_size) : 0) +
               // An epoch that is recorded as a graph has scratch of its own.
               (B::space == Space::host || batches
                    ? 0
                    : Evaluator<B>::scratch_bytes(network, train_examples, replicas)) +
               static_cast<std::size_t>(numbers) * sizeof(double) +
               fused_training_bytes<B::space>(network.view(), train_examples);
    }

  private:
    Buffer<double, B::space> duplicate(const double* source, Index count) {
        Buffer<double, B::space> target(*context_, count);
        copy(*context_, source, target.data(), count);
        return target;
    }

    View<const std::int64_t, 1, B::space> counter() const { return counter_.view(1); }

    void evaluate_present() {
        evaluator_.evaluate(theta());
        mark_divergence(*context_, {evaluator_.cost(), counter(), diverged_.view(replicas_)});
    }

    void train_by_operations(std::int64_t epochs) {
        if (evaluated_) {
            update(evaluator_);
            --epochs;
        }
        repeat(*context_, recording_, epochs, [this] {
            evaluate_present();
            update(evaluator_);
        });
    }

    /// One epoch of mini-batches.
    void train_in_batches() {
        batches_->begin_epoch(counter());
        for (std::int64_t done = 0; done < updates_per_epoch_;) {
            const std::int64_t t = epoch_ * updates_per_epoch_ + done, in_segment = t % rate_segment;
            if (in_segment == 0) rule_.load_rates(t);
            const std::int64_t whole = batches_->whole_updates() - done;
            const bool rest = whole == 0;
            const auto updates = rest ? 1 : std::min<std::int64_t>(whole, rate_segment - in_segment);
            repeat(*context_, rest ? rest_recording_ : recording_, updates, [this, rest] {
                const Evaluator<B>& batch = batches_->evaluate_next(counter(), theta(), rest);
                mark_divergence(*context_, {batch.cost(), counter(), diverged_.view(replicas_)});
                update(batch);
            });
            done += updates;
        }
    }

    void update(const Evaluator<B>& evaluated) {
        rule_.step(counter(), evaluated.gradient(), theta_.view(replicas_, parameters_));
        advance_counter(*context_, {counter_.view(1), 1});
    }

    void train_fused(std::int64_t epochs) {
        fused_training(*context_, {.network = evaluator_.network().view(),
                                   .epochs = epochs,
                                   .beta1 = settings_.beta1,
                                   .beta2 = settings_.beta2,
                                   .epsilon = settings_.epsilon,
                                   .rates = rule_.rates(),
                                   .counter = counter_.view(1),
                                   .features = train_.features,
                                   .targets = train_.targets,
                                   .theta = theta_.view(replicas_, parameters_),
                                   .first_moment = rule_.first_moment(),
                                   .second_moment = rule_.second_moment(),
                                   .cost = {},
                                   .gradient = {},
                                   .first_nonfinite = diverged_.view(replicas_)});
    }

    B* context_;
    Index parameters_, replicas_;
    TrainingSettings settings_;
    std::int64_t updates_per_epoch_;
    Examples<B::space> train_;
    Evaluator<B> evaluator_;          // of all examples
    std::vector<Evaluator<B>> test_;  // none or one
    UpdateRule<B> rule_;
    std::unique_ptr<MiniBatches<B>> batches_;  // none for the full batch
    Buffer<double, B::space> theta_;
    Buffer<std::int64_t, B::space> diverged_, counter_;  // in updates
    std::int64_t epoch_ = 0;
    bool evaluated_ = false;
    bool fused_ = false;  // whole epochs in one kernel
    // Of an epoch, or of an update by a mini-batch; destroyed before the buffers.
    typename B::Recording recording_, rest_recording_;
};

}  // namespace espectra
