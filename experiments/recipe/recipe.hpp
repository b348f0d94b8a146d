#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/models/initial_theta.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace espectra {

/// The epochs (numbers of updates done) at which spectra are taken.
struct SnapshotSchedule {
    std::int64_t dense_until = 200, dense_step = 10, step = 50;
    std::vector<std::int64_t> epochs;  ///< if not empty, exactly these

    /// Ascending epochs in [0, total]: 0, dense_step, … below dense_until, then backwards from `total` in
    /// steps of `step` down to above dense_until: the first and the last epoch are always among them.
    std::vector<std::int64_t> snapshots(std::int64_t total) const;
    bool operator==(const SnapshotSchedule&) const = default;
};

/// The snapshots from which critical points are searched for, and the options of the search.
struct CriticalPointSettings {
    std::vector<std::int64_t> epochs;  ///< ascending, of snapshots; empty: none
    CriticalPointOptions search;

    Index count() const { return std::ssize(epochs); }
    bool operator==(const CriticalPointSettings&) const = default;
};

/// One experiment as a user states it. Its keys are listed in recipe_keys.cpp and docs/recipes.md.
struct Recipe {
    std::string title;

    std::string source = "digits";
    double test_fraction = 0.2;
    std::uint64_t data_seed = 0;
    Scaling scale = Scaling::unit;

    std::vector<Index> hidden = {25};                         ///< empty: logistic or linear regression
    std::vector<Activation> activations = {Activation::esp};  ///< empty without a hidden layer
    double negative_slope = NetworkShape().negative_slope;
    Loss loss = Loss::sigmoid_cross_entropy;
    InitialWeights initial_weights;
    bool trainable_beta = true;
    InitialBeta beta;

    TrainingSettings training;
    std::int64_t epochs = 2000;
    Index replicas = 1;
    std::uint64_t seed = 1;

    SnapshotSchedule schedule;
    SpectrumOptions spectrum;
    CriticalPointSettings critical_points;

    /// Returns the network for data with these numbers of features and outputs. Where β is not trainable, esp
    /// layers have β = `beta.mean` (1 if the recipe gives none).
    Network network(Index features, Index outputs) const;
    bool operator==(const Recipe&) const = default;
};

}  // namespace espectra
