#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/run/scheduler.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace espectra {

/// Returns the initial θ of these replicas, [members, P].
inline std::vector<double> initial_thetas(const RunPlan& plan, const std::vector<BatchMember>& members) {
    std::vector<double> thetas;
    for (const BatchMember& member : members) {
        const auto theta = plan.networks[member.network].initial_theta(member.replica);
        thetas.insert(thetas.end(), theta.begin(), theta.end());
    }
    return thetas;
}

/// The state of a batch at an epoch, complete on its device after `ready`.
template <Backend B>
struct BatchSnapshot {
    std::shared_ptr<B> context;  ///< the training's, to which buffers of a device are returned
    Snapshot<B> state;           ///< empty where all rows have diverged
    typename B::Event ready;
    std::vector<std::int64_t> diverged;  ///< by row the first epoch whose cost was not finite, or −1
};

/// A batch of networks of one kind under training.
template <Backend B>
class BatchTraining {
  public:
    BatchTraining(const RunPlan& plan, const TrainingBatch& batch, const std::vector<double>& initial,
                  const ResidentData<B>& data, std::shared_ptr<B> context)
        : context_(std::move(context)) {
        std::vector<TrainingSettings> settings;
        for (const BatchMember& member : batch.members)
            settings.push_back(plan.networks[member.network].recipe.training);
        const TrainingSettings first = settings.front();
        if (std::ranges::all_of(settings, [&](const auto& one) { return one == first; })) settings.clear();
        trainer_ = std::make_unique<Trainer<B>>(*context_, plan.networks[batch.kind].network, data.train(),
                                                data.test(), first, initial, std::move(settings));
    }

    /// Trains until `epoch` updates are done or all rows have diverged. Ends early, with a snapshot of no
    /// use, once `stopped` returns true.
    BatchSnapshot<B> advance_to(std::int64_t epoch, const std::function<bool()>& stopped) {
        BatchSnapshot<B> snapshot;
        snapshot.context = context_;
        const auto all_diverged = [&] {
            return !snapshot.diverged.empty() &&
                   std::ranges::all_of(snapshot.diverged, [](std::int64_t at) { return at >= 0; });
        };
        // In steps, so that a stop and a divergence are noticed soon; longer ones where they take no time.
        std::int64_t step = 50;
        bool stop = false;
        while (trainer_->epoch() < epoch && !all_diverged() && !stop) {
            const Timer timer;
            trainer_->advance_to(std::min(epoch, trainer_->epoch() + step));
            snapshot.diverged = trainer_->diverged();
            if (timer.seconds() < 0.05) step *= 2;
            stop = stopped();
        }
        if (!all_diverged() && !stop) {
            snapshot.state = trainer_->snapshot();
            snapshot.diverged = trainer_->diverged();
        }
        snapshot.ready = context_->record();
        return snapshot;
    }

    std::int64_t epoch() const { return trainer_->epoch(); }
    const char* method() const { return trainer_->method(); }

    /// Adds the time of a piece of work on this batch.
    void add_seconds(double seconds) { seconds_ += seconds; }
    double seconds() const { return seconds_; }

    /// Ends the training: frees its buffers and returns its context.
    std::shared_ptr<B> end() {
        trainer_.reset();
        return std::move(context_);
    }

  private:
    std::shared_ptr<B> context_;
    std::unique_ptr<Trainer<B>> trainer_;
    double seconds_ = 0;
};

}  // namespace espectra
