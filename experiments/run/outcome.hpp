#pragma once

#include "espectra/experiments/store/results.hpp"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace espectra {

/// A network without all of its records: its training diverged, or a spectrum could not be computed.
struct Failure {
    std::string network;
    Index replica = 0;
    std::string reason;
};

/// Work done so far in this session; `fraction` weighs training, analyses and searches by their
/// estimated cost.
struct RunProgress {
    double fraction = 0;
    double seconds = 0, seconds_left = 0;  ///< seconds_left is NaN until there is enough to estimate it from
    Index spectra_done = 0, spectra_total = 0;
    Index searches_done = 0, searches_total = 0;  ///< for critical points
};

struct RunOutcome {
    RunState state = RunState::complete;
    std::vector<Failure> failures;
    std::filesystem::path file;
    std::vector<SummaryRow> summary;
    RunStatistics statistics;  ///< of a run that came to its end
    /// By network, over all sessions.
    std::vector<CriticalPointSummary> critical_points;
    Index spectra = 0;   ///< in this session
    Index searches = 0;  ///< for critical points, in this session
    int workers = 1;
    Index replicas_per_batch = 1;            ///< of the largest batch
    double wall_seconds = 0;                 ///< of this session
    std::set<std::string> training_methods;  ///< see Trainer::method
    /// Sums over this session, each piece of work timed on its worker.
    double training_seconds = 0, hessian_seconds = 0, eigen_seconds = 0, search_seconds = 0;
};

}  // namespace espectra
