#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

/// At which epochs (updates done) spectra are taken.
struct SnapshotSchedule {
    std::int64_t dense_until = 200, dense_step = 10, step = 50;
    std::vector<std::int64_t> epochs;  ///< if not empty, just these

    /// Ascending epochs in [0, total]: 0, dense_step, … below dense_until, then backwards from `total` in
    /// steps of `step` down to above dense_until: the first and the last epoch are always among them.
    std::vector<std::int64_t> snapshots(std::int64_t total) const;
    bool operator==(const SnapshotSchedule&) const = default;
};

/// From which snapshots critical points are looked for, and how.
struct CriticalPointSettings {
    std::vector<std::int64_t> epochs;  ///< ascending, of snapshots; empty: none
    CriticalPointOptions search;

    Index count() const { return std::ssize(epochs); }
    bool operator==(const CriticalPointSettings&) const = default;
};

/// One experiment as a user states it; the keys and defaults are those of docs/recipes.md.
struct Recipe {
    std::string title;

    std::string source = "digits";
    double test_fraction = 0.2;
    std::uint64_t data_seed = 0;
    Scaling scale = Scaling::unit;

    std::vector<Index> hidden = {25};
    std::vector<Activation> activations = {Activation::esp};
    Loss loss = Loss::sigmoid_cross_entropy;
    bool trainable_beta = true;
    InitialBeta beta;

    TrainingSettings training;
    std::int64_t epochs = 2000;
    Index replicas = 1;
    std::uint64_t seed = 1;

    SnapshotSchedule schedule;
    SpectrumOptions spectrum;
    CriticalPointSettings critical_points;

    /// The network for data with these numbers of features and outputs. Where β is not trainable, that of esp
    /// layers is `beta.mean` (1 if the recipe gives none).
    Network network(Index features, Index outputs) const;
    bool operator==(const Recipe&) const = default;
};

/// One point of a sweep.
struct Combination {
    Recipe recipe;
    std::vector<std::pair<std::string, std::string>>
        swept;  ///< keys with several values, and this one as text
};

/// A recipe file with its sweep multiplied out.
struct Experiment {
    std::string path;
    std::string title;
    std::string text;  ///< the recipe as it was run, overrides included
    std::vector<Combination> combinations;
};

/// Reads a recipe (TOML). [sweep] is the product of its lists; several [[sweep]] are taken one after the
/// other. `overrides` are "key=value" with dotted keys and TOML values; a value that is not TOML is taken as
/// a string. Throws InputError with file, line, key and value for anything unknown, mistyped or out of range.
Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides);

}  // namespace espectra
