#include "espectra/experiments/run/work_plan.hpp"

#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "experiments/run/run_test.hpp"
#include <functional>
#include <vector>

namespace espectra {
namespace {

class WorkPlanTest : public test::RunTest {
  protected:
    WorkPlanTest() : RunTest(test::small_sweep) {}
};

TEST_F(WorkPlanTest, PlansWorkByMemory) {
    constexpr std::size_t plenty = std::size_t{8} << 30;
    for (PlannedNetwork& planned : networks_) planned.recipe.replicas = 1;
    const WorkPlan alone = plan_work(RunPlan(networks_), 8, plenty);
    EXPECT_EQ(alone.workers, 8);
    EXPECT_EQ(alone.threads_per_worker, 1);
    EXPECT_EQ(alone.replicas_per_batch, (std::vector<Index>{1, 1, 1}));
    const std::size_t one = alone.bytes_needed / 8;
    const WorkPlan little = plan_work(RunPlan(networks_), 8, one + one / 2);
    EXPECT_EQ(little.workers, 1);
    EXPECT_EQ(little.threads_per_worker, 8);
    EXPECT_THROW(plan_work(RunPlan(networks_), 8, one / 2), ResourceError);

    for (PlannedNetwork& planned : networks_) planned.recipe.replicas = 20;
    EXPECT_EQ(plan_work(RunPlan(networks_), 2, plenty).replicas_per_batch, (std::vector<Index>{10, 10, 10}));
    EXPECT_EQ(plan_work(RunPlan(networks_), 8, plenty).replicas_per_batch, (std::vector<Index>{7, 7, 7}));
    EXPECT_EQ(plan_work(RunPlan(networks_), 2, 2 * one + 1).batch(0), 1);  // the largest
}

TEST_F(WorkPlanTest, PlansMemoryForSearchesOfAnyOfAKind) {
    load({"sweep.train.seed=[1, 100]"});
    ASSERT_EQ(RunPlan(networks_).kinds, (std::vector<std::size_t>{0, 0, 2, 2, 4, 4}));
    constexpr std::size_t plenty = std::size_t{8} << 30;
    const auto bytes = [&] { return plan_work(RunPlan(networks_), 2, plenty).bytes_needed; };
    const std::size_t none = bytes();
    networks_[1].recipe.critical_points.epochs = {60};
    EXPECT_EQ(RunPlan(networks_).searched, (std::vector<bool>{true, true, false, false, false, false}));
    EXPECT_GT(bytes(), none);
    const std::size_t second = bytes();
    networks_[0].recipe.critical_points.epochs = {60};
    EXPECT_EQ(bytes(), second);
}

TEST_F(WorkPlanTest, SearchesOfSmallNetworksRunOnTheHost) {
    constexpr std::size_t plenty = std::size_t{8} << 30;
    CpuContext context(1);
    const auto plan = [&](int cores, std::size_t host = std::size_t{8} << 30) {
        return plan_batches(context, RunPlan(networks_), plenty, host, cores);
    };
    EXPECT_EQ(plan(16).searchers, 0);  // no searches are wanted
    const std::size_t none = plan(16).bytes_needed;
    networks_[1].recipe.critical_points.epochs = {60};
    EXPECT_EQ(plan(16).searchers, 14);
    EXPECT_EQ(plan(1).searchers, 1);
    EXPECT_EQ(plan(16).searches_on_host, (std::vector<bool>{false, true, false}));
    EXPECT_EQ(plan(16).bytes_needed, none);  // on the device
    EXPECT_LT(plan(16, 100'000).searchers, 14);
    EXPECT_EQ(plan(16, 10'000).searchers, 0);

    // A matrix of 2402 rows takes minutes on a core and a tenth of a second on a device.
    load({"network.hidden=[600]"});
    const std::size_t large = plan(16).bytes_needed;
    networks_[1].recipe.critical_points.epochs = {60};
    EXPECT_EQ(plan(16).searchers, 0);
    EXPECT_EQ(plan(16).searches_on_host, (std::vector<bool>{false, false, false}));
    EXPECT_GT(plan(16).bytes_needed, large);
    EXPECT_FALSE(search_is_faster_on_host(networks_[1], 14));
    EXPECT_TRUE(search_is_faster_on_host(networks_[1], 1000));
}

TEST_F(WorkPlanTest, PlansBatchesOfARun) {
    CpuContext context(1);
    const WorkPlan plan =
        plan_batches(context, RunPlan(networks_), std::size_t{8} << 30, std::size_t{8} << 30, 2);
    EXPECT_EQ(plan.replicas_per_batch, (std::vector<Index>{3, 3, 3}));
    EXPECT_GT(plan.bytes_needed, std::size_t{3} * 17 * 17 * 8);
    EXPECT_THROW(plan_batches(context, RunPlan(networks_), 1000, std::size_t{8} << 30, 2), ResourceError);
}

/// A network of two parameters that takes 1000 bytes per replica under training and 2000 bytes + 3000 per
/// replica under analysis. This includes the plan's own additions: θ and gradient of 3 snapshots and 4
/// scores, 192 bytes; gathered copies, 32 bytes.
BatchMemory small_network(Index replicas) {
    BatchMemory network;
    network.parameters = 2;
    network.replicas = replicas;
    network.training = [](Index r) { return static_cast<std::size_t>(808 * r); };
    network.analysis = [](Index r) { return static_cast<std::size_t>(2000 + 2968 * r); };
    return network;
}

TEST(PlanBatches, FillsTheMemoryWithBatchesOfOneSize) {
    // A quarter of the 100 000 bytes next to the data goes to training: 25 replicas. The rest holds 24 under
    // analysis; 100 replicas make five batches of 20.
    const WorkPlan plan = plan_batches({small_network(100)}, 1000, 101'000, 1'000'000);
    EXPECT_EQ(plan.workers, 2);
    EXPECT_EQ(plan.trainings, 1);
    EXPECT_EQ(plan.analyses, 1);
    EXPECT_EQ(plan.replicas_per_batch, std::vector<Index>{20});
    EXPECT_EQ(plan.bytes_needed, 1000u + 20'000u + 62'000u);
    EXPECT_EQ(plan.bytes_available, 101'000u);
    EXPECT_EQ(plan_batches({small_network(24)}, 1000, 101'000, 1'000'000).batch(0), 24);
    EXPECT_EQ(plan_batches({small_network(3)}, 1000, 101'000, 1'000'000).batch(0), 3);
    // 128 bytes of the host per replica.
    EXPECT_EQ(plan_batches({small_network(100)}, 1000, 101'000, 1280).batch(0), 10);
}

TEST(PlanBatches, TakesSingleNetworksWhereNoMoreFit) {
    EXPECT_EQ(plan_batches({small_network(100)}, 1000, 7000, 1000).batch(0), 1);
    try {
        plan_batches({small_network(100)}, 1000, 6999, 1000);
        FAIL() << "one byte is missing";
    } catch (const ResourceError& error) {
        EXPECT_STREQ(error.what(),
                     "device memory: the exact Hessian of 2 parameters needs 0.000 GB, 0.000 GB free");
    }
    EXPECT_THROW(plan_batches({small_network(100)}, 1000, 7000, 127), ResourceError);
    // One network trains while another one's last batch is analysed: the largest of each have to fit.
    BatchMemory trained = small_network(1), analysed = small_network(1);
    trained.training = [](Index) { return std::size_t{50'000}; };
    analysed.analysis = [](Index) { return std::size_t{50'000}; };
    EXPECT_THROW(plan_batches({trained, analysed}, 0, 100'000, 1000), ResourceError);
    EXPECT_NO_THROW(plan_batches({trained, analysed}, 0, 100'224, 1000));
}

TEST(PlanBatches, KeepsABatchAMatterOfSeconds) {
    constexpr std::size_t plenty = std::size_t{1} << 50;
    BatchMemory large = small_network(1000);
    large.parameters = 1920;  // 3 P³ = 2.12e10: up to 470, three batches
    const WorkPlan plan = plan_batches({small_network(10'000), large}, 0, plenty, plenty);
    EXPECT_EQ(plan.replicas_per_batch, (std::vector<Index>{3334, 334}));  // three of up to 4096
    EXPECT_EQ(plan.largest_batch(), 3334);
    large.parameters = 100'000;
    EXPECT_EQ(plan_batches({large}, 0, plenty, plenty).batch(0), 1);
}

}  // namespace
}  // namespace espectra
