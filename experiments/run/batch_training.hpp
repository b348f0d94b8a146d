#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/run/early_stopping.hpp"
#include "espectra/experiments/run/scheduler.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
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
    std::vector<std::int64_t> stopped;   ///< by row the epoch of its early stop, or −1; empty: none stops

    bool all_diverged() const {
        return !diverged.empty() && std::ranges::all_of(diverged, [](std::int64_t at) { return at >= 0; });
    }
    /// Returns true if each row has diverged or was stopped.
    bool all_ended() const {
        for (std::size_t row = 0; row < std::max(diverged.size(), stopped.size()); ++row)
            if (!(row < diverged.size() && diverged[row] >= 0) &&
                !(row < stopped.size() && stopped[row] >= 0))
                return false;
        return !diverged.empty() || !stopped.empty();
    }
};

/// A batch of networks of one kind under training.
template <Backend B>
class BatchTraining {
  public:
    /// The plan has to outlive it.
    BatchTraining(const RunPlan& plan, const TrainingBatch& batch, const std::vector<double>& initial,
                  const ResidentData<B>& data, std::shared_ptr<B> context)
        : context_(std::move(context)),
          planned_(&plan.networks[batch.kind]),
          early_stopping_(planned_->recipe.early_stop, batch.members.size()) {
        std::vector<TrainingSettings> settings;
        std::vector<std::uint64_t> seeds;
        for (const BatchMember& member : batch.members) {
            settings.push_back(plan.networks[member.network].recipe.training);
            seeds.push_back(plan.networks[member.network].seed(member.replica));
        }
        const TrainingSettings first = settings.front();
        if (!early_stopping_.active() &&
            std::ranges::all_of(settings, [&](const auto& one) { return one == first; }))
            settings.clear();
        trainer_ = std::make_unique<Trainer<B>>(*context_, planned_->network, data.train(), data.test(),
                                                first, initial, std::move(settings), seeds);
    }

    /// Trains until `epoch` epochs are done or all rows have diverged or were stopped early. Ends early, with
    /// a snapshot of no use, once `stopped` returns true.
    BatchSnapshot<B> advance_to(std::int64_t epoch, const std::function<bool()>& stopped) {
        BatchSnapshot<B> snapshot;
        snapshot.context = context_;
        stop_early();
        snapshot.stopped = early_stopping_.stopped();
        // In steps, so that a stop and a divergence are noticed soon; longer ones where they take no time.
        std::int64_t step = trainer_->updates_per_epoch() > 1 ? 1 : 50;
        bool stop = false;
        while (trainer_->epoch() < epoch && !snapshot.all_ended() && !stop) {
            const Timer timer;
            trainer_->advance_to(std::min({epoch, next_check(), trainer_->epoch() + step}));
            snapshot.diverged = trainer_->diverged();
            stop_early();
            snapshot.stopped = early_stopping_.stopped();
            if (timer.seconds() < 0.05) step *= 2;
            stop = stopped();
        }
        if (!snapshot.all_diverged() && !stop) {
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
    /// The next epoch at which early stopping looks at the replicas: that of a snapshot, whether it is
    /// recorded already or not, so that a resumed run decides as one without interruption.
    std::int64_t next_check() const {
        return early_stopping_.active() && checks_ < planned_->epochs.size()
                   ? planned_->epochs[checks_]
                   : std::numeric_limits<std::int64_t>::max();
    }
    void stop_early() {
        for (; next_check() == trainer_->epoch(); ++checks_)
            for (const std::size_t row :
                 early_stopping_.check(trainer_->epoch(), trainer_->watched(early_stopping_.watch())))
                trainer_->stop(static_cast<Index>(row));
    }

    std::shared_ptr<B> context_;
    const PlannedNetwork* planned_;  // the first one of the kind
    EarlyStopping early_stopping_;
    std::size_t checks_ = 0;  // done
    std::unique_ptr<Trainer<B>> trainer_;
    double seconds_ = 0;
};

}  // namespace espectra
