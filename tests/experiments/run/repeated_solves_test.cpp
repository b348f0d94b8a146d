// The dataset solved_again: written by a run whose solver of batches makes mistakes, and added to a file that
// an older version made.

#include "espectra/experiments/app/outcome_text.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include "emulation/faulty_solver.hpp"
#include "experiments/run/run_test.hpp"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace espectra {
namespace {

class RepeatedSolves : public test::RunTest {
  protected:
    RepeatedSolves() : RunTest(test::small_sweep) { load({"train.epochs=12"}); }

    std::vector<double> column(const std::filesystem::path& file, std::size_t network,
                               const std::string& name) const {
        return Hdf5File::open(file).read<double>(networks_[network].name + "/" + name);
    }
};

TEST_F(RepeatedSolves, AreRecordedAndReported) {
    const RunOutcome expected = run("right", batches_of(3));
    const RunPlan plan(networks_, batches_of(3));
    // The smallest eigenvalue of the second replica of every batch is wrong; it is not one of a padded row.
    const auto make = [] { return test::FaultySolver([](View<double, 2> values) { values(1, 0) -= 1; }); };
    Pipeline<test::FaultySolver> pipeline(plan, MissingWork(networks_), create("wrong"), make);
    const RunOutcome outcome = pipeline.run({}, nullptr);
    EXPECT_EQ(outcome.state, RunState::complete);
    const auto snapshots = static_cast<std::size_t>(networks_.front().snapshots());
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        const auto again = column(outcome.file, n, "solved_again");
        ASSERT_EQ(again.size(), 3 * snapshots);
        for (std::size_t i = 0; i < again.size(); ++i)
            EXPECT_EQ(again[i], i / snapshots == 1 ? 1 : 0) << networks_[n].name << ' ' << i;
        EXPECT_EQ(outcome.summary[n].values["solved_again"], static_cast<double>(snapshots));
        const auto right = column(expected.file, n, "eigenvalues"),
                   found = column(outcome.file, n, "eigenvalues");
        const auto frobenius = column(expected.file, n, "frobenius");
        const std::size_t p = right.size() / again.size();
        for (std::size_t i = 0; i < right.size(); ++i)
            EXPECT_NEAR(found[i], right[i], 1e-12 * frobenius[i / p]) << networks_[n].name << ' ' << i;
    }
    const std::string text = std::to_string(3 * snapshots) + " eigensolves violated the certificate";
    EXPECT_NE(outcome_text(outcome).find(text), std::string::npos) << outcome_text(outcome);
    EXPECT_EQ(outcome_text(expected).find("violated"), std::string::npos);
}

TEST_F(RepeatedSolves, AreAddedToAFileOfAnOlderVersion) {
    const auto whole = run("whole", batches_of(3)).file;
    std::stop_source stop;
    const RunOutcome first = run(create("parts"), batches_of(3), stop.get_token(),
                                 [&](const RunProgress&) { stop.request_stop(); });
    const hid_t file = H5Fopen(first.file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    for (const PlannedNetwork& planned : networks_)
        ASSERT_GE(H5Ldelete(file, (planned.name + "/solved_again").c_str(), H5P_DEFAULT), 0);
    ASSERT_GE(H5Fclose(file), 0);

    const RunOutcome second = run(resume("parts"), batches_of(3));
    EXPECT_EQ(second.state, RunState::complete);
    Index recorded = 0;
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        EXPECT_EQ(column(second.file, n, "alpha"), column(whole, n, "alpha"));
        for (const double again : column(second.file, n, "solved_again")) {
            EXPECT_TRUE(std::isnan(again) || again == 0) << again;
            recorded += !std::isnan(again);
        }
        EXPECT_EQ(second.summary[n].values["solved_again"], 0);
    }
    EXPECT_EQ(recorded, second.spectra);
}

}  // namespace
}  // namespace espectra
