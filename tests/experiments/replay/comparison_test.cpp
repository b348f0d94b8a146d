// Differences between two files of the same run.

#include "espectra/experiments/replay/comparison.hpp"

#include <gtest/gtest.h>

#include "experiments/run/run_test.hpp"
#include <cmath>
#include <filesystem>
#include <string>

namespace espectra {
namespace {

class Comparison : public test::RunTest {
  protected:
    Comparison() : RunTest(test::small_sweep) {
        load({"train.epochs=12"});
        first_ = run("first", batches_of(3)).file;
        second_ = run("second", batches_of(1)).file;
    }

    RunComparison compared() const {
        return compare(open_recorded_runs(first_), open_recorded_runs(second_));
    }

    /// Replaces one number of a dataset of the second file by change(number); `at`: replica, snapshot and the
    /// position in the record.
    template <class Change>
    double replace(const std::string& dataset, const std::vector<Index>& at, Change&& change) {
        Hdf5File file = Hdf5File::open_for_update(second_);
        const std::string name = networks_[1].name + "/" + dataset;
        const auto values = file.read<double>(name);
        const Index snapshots = networks_[1].snapshots();
        const Index numbers = std::ssize(values) / (3 * snapshots);
        const auto place =
            static_cast<std::size_t>((at[0] * snapshots + at[1]) * numbers + (at.size() > 2 ? at[2] : 0));
        const double changed = change(values[place]);
        file.write_slab(name, at, std::vector<Index>(at.size(), 1), &changed);
        file.close();
        return changed - values[place];
    }

    std::filesystem::path first_, second_;
};

TEST_F(Comparison, TwoRunsHaveTheSameBits) {
    const RunComparison found = compared();
    EXPECT_TRUE(found.same_bits());
    EXPECT_EQ(found.snapshots, 3 * 3 * networks_[0].snapshots());
    EXPECT_EQ(found.theta_error_max, 0);
    EXPECT_EQ(found.eigenvalue_error_max, 0);
    EXPECT_EQ(found.cost_error_max, 0);
}

TEST_F(Comparison, TheLastBitOfANumberCounts) {
    replace("eigenvalues", {2, 1, 0}, [](double value) { return std::nextafter(value, 1e300); });
    const RunComparison found = compared();
    EXPECT_FALSE(found.same_bits());
    EXPECT_EQ(found.different_eigenvalues, 1);
    EXPECT_EQ(found.different_theta, 0);
    EXPECT_GT(found.eigenvalue_error_max, 0);
    EXPECT_LT(found.eigenvalue_error_max, 1e-15);
}

TEST_F(Comparison, ErrorsAreRelative) {
    const auto runs = open_recorded_runs(first_);
    // The second network's last replica, at its second snapshot.
    const RecordedRun& run = runs[5];
    double norm = 0, largest = 0;
    for (const double value : run.theta(1)) norm += value * value;
    for (const double value : run.eigenvalues(1)) largest = std::fmax(largest, std::fabs(value));
    replace("theta", {2, 1, 3}, [](double value) { return value + 0.5; });
    replace("eigenvalues", {2, 1, 4}, [](double value) { return value - 0.25; });
    replace("cost", {2, 1}, [](double value) { return 2 * value; });
    const RunComparison found = compared();
    EXPECT_EQ(found.different_theta, 1);
    EXPECT_NEAR(found.theta_error_max, 0.5 / std::sqrt(norm), 1e-12);
    EXPECT_NEAR(found.eigenvalue_error_max, 0.25 / largest, 1e-12);
    EXPECT_NEAR(found.cost_error_max, 0.5, 1e-12);
}

// θ and eigenvalues that are not finite are refused when they are read.
TEST_F(Comparison, CostOfOneFileAloneThatIsNanIsAnErrorOfNan) {
    replace("cost", {0, 0}, [](double) { return std::nan(""); });
    EXPECT_TRUE(std::isnan(compared().cost_error_max));
    std::filesystem::copy_file(second_, first_, std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(compared().cost_error_max, 0);
}

TEST_F(Comparison, OtherNetworksAreRefused) {
    const auto first = open_recorded_runs(first_);
    load({"train.epochs=13"});
    const auto longer = open_recorded_runs(run("longer", batches_of(3)).file);
    EXPECT_THROW(compare(first, longer), InputError);
    load({"train.epochs=12", "network.hidden=[5]"});
    EXPECT_THROW(compare(first, open_recorded_runs(run("wider", batches_of(3)).file)), InputError);
    load({"train.epochs=12", "train.replicas=2"});
    EXPECT_THROW(compare(first, open_recorded_runs(run("fewer", batches_of(2)).file)), InputError);
}

}  // namespace
}  // namespace espectra
