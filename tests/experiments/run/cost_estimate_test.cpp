#include "espectra/experiments/run/cost_estimate.hpp"

#include "espectra/experiments/run/work_plan.hpp"

#include <gtest/gtest.h>

#include "experiments/run/run_test.hpp"
#include <functional>
#include <memory>

namespace espectra {
namespace {

class CostEstimateTest : public test::RunTest {
  protected:
    CostEstimateTest() : RunTest(test::small_sweep) {}
};

TEST_F(CostEstimateTest, TriesSearchesToo) {
    for (const std::size_t n : {1u, 2u}) networks_[n].recipe.critical_points.epochs = {60};
    RunPlan plan(networks_);
    plan.work = plan_work(plan, 2, std::size_t{8} << 30);
    const std::function<CpuContext()> make_context = [] { return CpuContext(1); };
    const auto nominal = nominal_costs(networks_), tried = measured_costs(plan, make_context, 60);
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        EXPECT_GT(tried[n].training, 0);
        EXPECT_GT(tried[n].spectrum, 0);
        EXPECT_GT(tried[n].search, 0);
        EXPECT_NE(tried[n].search, nominal[n].search);  // the first is scaled from the others
    }
    // With a limit of 500 iterations, a ReLU network takes fewer.
    EXPECT_GT(search_iterations(networks_[0]), 5 * search_iterations(networks_[1]));
    networks_[0].recipe.critical_points.search.iterations = 7;
    EXPECT_EQ(search_iterations(networks_[0]), 7);
    plan.costs = tried;
    EXPECT_EQ(plan.seconds(1).searches, 3 * tried[1].search);
}

// The data set claims more examples than it has: the trial must not read them.
TEST_F(CostEstimateTest, TrialLeavesOutTrainingThatWouldTakeItsTime) {
    const auto large = std::make_shared<DataSet>(*networks_.front().data);
    large->train_examples = 40'000'000;
    for (PlannedNetwork& planned : networks_) planned.data = large;
    const RunPlan plan(networks_);
    const auto nominal = nominal_costs(networks_);
    for (const NetworkCost& cost : nominal) EXPECT_LT(cost.spectrum, 1);
    const std::function<CpuContext()> make_context = [] { return CpuContext(1); };
    const auto tried = measured_costs(plan, make_context, 1);
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        EXPECT_EQ(tried[n].training, nominal[n].training);
        EXPECT_EQ(tried[n].spectrum, nominal[n].spectrum);
    }
}

TEST_F(CostEstimateTest, WorkersShareTheWorkUnlessOneAnalyses) {
    RunPlan plan(networks_, {.workers = 4});
    for (NetworkCost& cost : plan.costs) cost = {.training = 3, .spectrum = 1, .search = 100};
    const double training = 9 * 3, spectra = 9.0 * static_cast<double>(networks_[0].snapshots());
    EXPECT_EQ(plan.seconds(1).spectra, spectra / 3);
    EXPECT_EQ(RunTotals(plan).seconds.total(), training + spectra);  // no searches are wanted
    EXPECT_EQ(RunTotals(plan).kinds, 3u);
    EXPECT_EQ(estimated_seconds(plan), (training + spectra) / 4);
    plan.work = batches_of(3);
    EXPECT_EQ(estimated_seconds(plan), spectra);
    networks_[1].recipe.critical_points.epochs = {60};
    RunPlan searching(networks_, batches_of(3));
    searching.costs = plan.costs;
    EXPECT_EQ(estimated_seconds(searching), spectra + 300);  // one search of each of three replicas
    searching.work.searchers = 4;
    searching.work.searches_on_host = {false, true, false};
    EXPECT_EQ(estimated_seconds(searching), std::max(spectra, 75.0));
}

}  // namespace
}  // namespace espectra
