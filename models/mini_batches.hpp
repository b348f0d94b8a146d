#pragma once

#include "espectra/kernels/batches.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace espectra {

/// The mini-batches of R networks, each of which draws its own (kernels/batches.hpp), and the evaluators of
/// their costs and gradients. The last batch of an epoch has the rest of the examples. The context and the
/// examples have to outlive it.
template <Backend B>
class MiniBatches {
  public:
    /// `seeds`: of the replicas; 1 ≤ batch_size < number of examples.
    MiniBatches(B& context, const Network& network, Examples<B::space> train,
                const std::vector<std::uint64_t>& seeds, Index batch_size)
        : context_(&context),
          train_(train),
          batch_size_(batch_size),
          seeds_(context, std::ssize(seeds)),
          keys_(context, std::ssize(seeds) * train.count()),
          order_(context, std::ssize(seeds) * train.count()),
          features_(context, std::ssize(seeds) * network.inputs() * batch_size),
          targets_(context, std::ssize(seeds) * network.outputs() * batch_size) {
        copy(context, seeds.data(), seeds_.data(), seeds_.size());
        context.synchronize();
        whole_ = std::make_unique<Evaluator<B>>(context, network, batch(batch_size));
        if (const Index rest = train.count() % batch_size; rest > 0)
            rest_ = std::make_unique<Evaluator<B>>(context, network, batch(rest));
    }

    std::int64_t updates_per_epoch() const { return whole_updates() + (rest_ ? 1 : 0); }
    /// Updates of an epoch on batches of the full size, which come first.
    std::int64_t whole_updates() const { return train_.count() / batch_size_; }

    /// Puts the examples into the order of the epoch that begins. `counter` [1]: updates done.
    void begin_epoch(View<const std::int64_t, 1, B::space> counter) {
        order_examples(*context_, {.seeds = seeds_.view(seeds_.size()),
                                   .counter = counter,
                                   .updates_per_epoch = updates_per_epoch(),
                                   .keys = keys_.view(replicas(), train_.count()),
                                   .order = order_.view(replicas(), train_.count())});
    }

    /// Evaluates the next batch at θ [R, P], one of the full size or the rest; returns the evaluator, with
    /// cost and gradient.
    const Evaluator<B>& evaluate_next(View<const std::int64_t, 1, B::space> counter,
                                      View<const double, 2, B::space> theta, bool rest) {
        const Index count = rest ? train_.count() % batch_size_ : batch_size_;
        gather_examples(*context_, {.order = std::as_const(order_).view(replicas(), train_.count()),
                                    .counter = counter,
                                    .updates_per_epoch = updates_per_epoch(),
                                    .batch_size = batch_size_,
                                    .features = train_.features,
                                    .targets = train_.targets,
                                    .batch_features = features_.view(replicas(), inputs(), count),
                                    .batch_targets = targets_.view(replicas(), outputs(), count)});
        Evaluator<B>& evaluator = rest ? *rest_ : *whole_;
        evaluator.evaluate(theta);
        return evaluator;
    }

    /// Bytes that they take on a device.
    static std::size_t bytes(const Network& network, Index examples, Index replicas, Index batch_size) {
        const Index rest = examples % batch_size;
        const Index numbers = 1 + 2 * examples + (network.inputs() + network.outputs()) * batch_size;
        // A recorded update has scratch of its own.
        const auto evaluator = [&](Index count) {
            return Evaluator<B>::bytes(network, count, replicas) +
                   (B::space == Space::host ? 0 : Evaluator<B>::scratch_bytes(network, count, replicas));
        };
        return static_cast<std::size_t>(replicas * numbers) * sizeof(double) + evaluator(batch_size) +
               (rest > 0 ? evaluator(rest) : 0);
    }

  private:
    Index replicas() const { return seeds_.size(); }
    Index inputs() const { return train_.features.extent[0]; }
    Index outputs() const { return train_.targets.extent[0]; }

    /// The first `count` examples of each batch, in rows without gaps.
    ReplicaExamples<B::space> batch(Index count) const {
        return {features_.view(replicas(), inputs(), count), targets_.view(replicas(), outputs(), count)};
    }

    B* context_;
    Examples<B::space> train_;
    Index batch_size_;
    Buffer<std::uint64_t, B::space> seeds_, keys_;
    Buffer<std::int64_t, B::space> order_;
    Buffer<double, B::space> features_, targets_;
    std::unique_ptr<Evaluator<B>> whole_, rest_;
};

}  // namespace espectra
