#pragma once

#include "espectra/experiments/recipe/recipe.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace espectra {

/// Decides which replicas of a batch stop their training; see EarlyStop.
class EarlyStopping {
  public:
    EarlyStopping(const EarlyStop& rule, std::size_t replicas)
        : rule_(rule), replicas_(rule.watch == Watched::none ? 0 : replicas) {}

    bool active() const { return rule_.watch != Watched::none; }
    Watched watch() const { return rule_.watch; }

    /// Takes the numbers of all replicas at an epoch, and returns those that stop there.
    std::vector<std::size_t> check(std::int64_t epoch, const std::vector<double>& values) {
        std::vector<std::size_t> stopping;
        const double sign = rule_.watch == Watched::accuracy_test ? -1 : 1;  // smaller is better
        for (std::size_t r = 0; r < replicas_.size(); ++r) {
            Replica& replica = replicas_[r];
            if (replica.stopped >= 0 || !std::isfinite(values[r])) continue;  // diverging is another end
            if (const double value = sign * values[r]; value < replica.best - rule_.min_delta) {
                replica.best = value;
                replica.best_epoch = epoch;
            } else if (epoch - replica.best_epoch >= rule_.patience) {
                replica.stopped = epoch;
                stopping.push_back(r);
            }
        }
        return stopping;
    }

    /// By replica the epoch at which it stopped, or −1; empty where none is watched.
    std::vector<std::int64_t> stopped() const {
        std::vector<std::int64_t> epochs;
        for (const Replica& replica : replicas_) epochs.push_back(replica.stopped);
        return epochs;
    }

  private:
    struct Replica {
        double best = std::numeric_limits<double>::infinity();
        std::int64_t best_epoch = 0, stopped = -1;
    };
    EarlyStop rule_;
    std::vector<Replica> replicas_;
};

}  // namespace espectra
