#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/store/schema.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

// Contents of a results.h5, by its schema.

namespace espectra::test {

/// Returns the names of the columns of snapshots' records with one number per replica and epoch.
inline std::vector<std::string> result_columns() {
    std::vector<std::string> names;
    for (const auto& column : snapshot_columns)
        if (column.axes == schema::per_snapshot) names.emplace_back(column.name);
    return names;
}

/// Returns the names of the columns of searches' records with one number per replica and search, except
/// durations.
inline std::vector<std::string> search_columns() {
    std::vector<std::string> names;
    for (const auto& column : critical_point_columns)
        if (column.axes == schema::per_search && !column.name.starts_with("seconds"))
            names.emplace_back(column.name);
    return names;
}

/// Returns the names of all datasets of a group that two equal runs have in common: all except durations.
inline std::vector<std::string> reproducible_datasets(const Hdf5File& file, const std::string& group) {
    std::vector<std::string> names;
    const auto add = [&](const std::string& within, const Dataset& dataset) {
        const std::string name = within + std::string(dataset.name);
        if (!dataset.name.starts_with("seconds") && file.exists(group + "/" + name)) names.push_back(name);
    };
    add("", epoch_dataset);
    add("", theta_initial_dataset);
    for (const auto& column : snapshot_columns) add("", column);
    for (const auto& column : data_columns) add("data/", column);
    add("critical_points/", search_epoch_dataset);
    for (const auto& column : critical_point_columns) add("critical_points/", column);
    for (const Statistic statistic : Statistic::all()) add("statistics/", quartiles_dataset(statistic));
    for (const Dataset& dataset : statistics_datasets) add("statistics/", dataset);
    std::string paired;
    for (const std::string& other : file.groups("/"))
        add("statistics/", paired_dataset(paired = "paired/" + other));
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

/// Expects the same contents of both files, bit for bit, except durations.
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

/// A recorded run of a 2-3-1 network with made-up numbers, as any program may write one.
struct RecordedSample {
    std::vector<std::int64_t> widths = {2, 3, 1};
    std::string activation = "relu";
    Index parameters = 13, snapshots = 2;
    std::vector<double> features = {0.1, 0.9, 0.8, 0.3, -0.5, 0.4, 0.7, -0.6, 0.2, 0.2},
                        targets = {0, 1, 1, 0, 1};

    void write(const std::filesystem::path& path) const {
        Hdf5File file = Hdf5File::create(path);
        file.set_attribute("/", "widths", widths);
        if (!activation.empty()) file.set_attribute("/", "hidden_activation", activation);
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
