#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

// What a results.h5 has to hold, by the interface of the espectra command.

namespace espectra::test {

/// Datasets of a group that have one number per replica and epoch.
inline const std::vector<std::string> result_columns = {
    "gradient_norm",   "cost",       "accuracy_train",    "accuracy_test",    "alpha",
    "gamma",           "gamma_dead", "gamma_dead_inputs", "gamma_dead_units", "gamma_symmetry",
    "gamma_numerical", "tau",        "zero_residuals",    "trace_error",      "symmetry_residual",
    "trace",           "frobenius",  "seconds_hessian",   "seconds_eigen"};

/// Datasets of critical_points/ with one number per replica and search.
inline const std::vector<std::string> critical_point_columns = {
    "converged",       "outcome", "cost",        "gradient_norm",     "distance",         "iterations",
    "alpha",           "gamma",   "gamma_dead",  "gamma_dead_inputs", "gamma_dead_units", "gamma_symmetry",
    "gamma_numerical", "tau",     "trace_error", "symmetry_residual"};

/// Everything in a group that two equal runs have in common: all but times.
inline std::vector<std::string> reproducible_datasets(const Hdf5File& file, const std::string& group) {
    std::vector<std::string> names = result_columns;
    std::erase_if(names, [](const std::string& name) { return name.starts_with("seconds"); });
    for (const char* name : {"theta", "eigenvalues", "theta_initial", "epoch", "eigenvalues_gauss_newton",
                             "inverse_participation_ratio", "eigenvectors", "data/X_train", "data/Y_train",
                             "data/X_test", "data/Y_test"})
        if (file.exists(group + "/" + name)) names.push_back(name);
    if (file.exists(group + "/critical_points")) {
        for (const std::string& name : critical_point_columns) names.push_back("critical_points/" + name);
        for (const char* name : {"theta", "eigenvalues", "epoch"})
            names.push_back(std::string("critical_points/") + name);
    }
    if (file.exists(group + "/statistics")) {
        for (const char* name :
             {"cost", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead",
              "failed", "untrained", "alpha_against_cost", "tau", "alpha_of_tau", "gamma_of_tau"})
            names.push_back(std::string("statistics/") + name);
        for (const std::string& other : file.groups("/"))
            if (file.exists(group + "/statistics/paired") &&
                file.exists(group + "/statistics/paired/" + other))
                names.push_back("statistics/paired/" + other);
    }
    return names;
}

inline std::string state_of(const Hdf5File& file) {
    const std::string state = file.attribute_string("/", "state");
    return state.substr(0, state.find(' '));
}

inline void expect_same_bits(const std::vector<double>& a, const std::vector<double>& b,
                             const std::string& name) {
    ASSERT_EQ(a.size(), b.size()) << name;
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(double)), 0) << name << " differs";
}

/// Both files hold the same, bit for bit, but for times.
inline void expect_same_results(const std::filesystem::path& a, const std::filesystem::path& b) {
    const Hdf5File first = Hdf5File::open(a), second = Hdf5File::open(b);
    EXPECT_EQ(state_of(first), state_of(second));
    ASSERT_EQ(first.groups("/"), second.groups("/"));
    for (const std::string& group : first.groups("/")) {
        const auto names = reproducible_datasets(first, group);
        EXPECT_EQ(names, reproducible_datasets(second, group));
        for (const std::string& name : names) {
            const std::string path = group + "/" + name;
            EXPECT_EQ(first.extents(path), second.extents(path)) << path;
            expect_same_bits(first.read<double>(path), second.read<double>(path), path);
        }
    }
}

/// A recorded run of a 2-3-1 network with made-up numbers, as anybody may write one.
struct RecordedSample {
    std::vector<std::int64_t> widths = {2, 3, 1};
    std::string activation = "relu";
    Index parameters = 13, snapshots = 2;
    std::vector<double> features = {0.1, 0.9, 0.8, 0.3, -0.5, 0.4, 0.7, -0.6, 0.2, 0.2},
                        targets = {0, 1, 1, 0, 1};

    void write(const std::filesystem::path& path) const {
        Hdf5File file = Hdf5File::create(path);
        file.set_attribute("/", "widths", widths);
        file.set_attribute("/", "hidden_activation", activation);
        file.write("data/X_train", {5, 2}, features);
        file.write("data/Y_train", {5, 1}, targets);
        std::vector<double> theta(static_cast<std::size_t>(snapshots * parameters));
        for (std::size_t i = 0; i < theta.size(); ++i)
            theta[i] = 0.1 * static_cast<double>(i % 7) - 0.25 + 0.01 * static_cast<double>(i);
        file.write("theta", {snapshots, parameters}, theta);
        file.close();
    }
};

}  // namespace espectra::test
