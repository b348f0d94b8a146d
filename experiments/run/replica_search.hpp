#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/store/critical_points.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/runtime/timer.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace espectra {

/// Searches for critical points. Keeps its context, and its workspace for further searches of the same
/// network.
template <Backend B>
class ReplicaSearch {
  public:
    /// Searches from θ [P] of one replica of `planned`. `stopped` is called between iterations; once it
    /// returns true the search ends, and its record is of no use.
    CriticalPointRecord search(const PlannedNetwork& planned, const ResidentData<B>& data,
                               const std::function<B()>& make_context, const std::vector<double>& theta,
                               const std::function<bool()>& stopped) {
        const Timer timer;
        if (!context_) context_ = std::make_unique<B>(make_context());
        if (network_ != &planned) {
            search_.reset();  // frees its memory before the next one takes its own
            search_ = std::make_unique<CriticalPointSearch<B>>(*context_, planned.network, data.train(),
                                                               planned.recipe.critical_points.search);
            network_ = &planned;
        }
        CriticalPointRecord record;
        record.point = search_->find(theta, stopped);
        record.seconds = timer.seconds();
        return record;
    }

  private:
    const PlannedNetwork* network_ = nullptr;
    std::unique_ptr<B> context_;
    std::unique_ptr<CriticalPointSearch<B>> search_;
};

}  // namespace espectra
