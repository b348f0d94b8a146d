// The memory that a device holds at most, as the emulated device counts it, against the bytes that plans
// count with: never more, and little less. The solver of batches makes mistakes meanwhile, so that matrices
// are solved again.

#include "espectra/experiments/run/work_plan.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"

#include <gtest/gtest.h>

#include "experiments/run/run_test.hpp"
#include "ptx/runtime/inspection.hpp"
#include "support/backend_work.hpp"
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;
using enum Loss;

/// Most times of the peak that a plan is, unless a test says why it is more.
constexpr double usual_slack = 1.25;

/// Most times of the peak with eigenvectors of one or two matrices: scratch of steps that follow one another
/// is added up.
constexpr double single_slack = 1.6;

/// Counts the memory of the device from here on.
class Peak {
  public:
    Peak() {
        EXPECT_EQ(device_memory(0).free, device_memory(0).total);
        espectra_emulated_take_peak_bytes();
    }

    /// Compares the most bytes in use so far with those that were planned.
    void expect(std::size_t planned, double slack = usual_slack) const {
        const std::size_t peak = espectra_emulated_take_peak_bytes();
        EXPECT_LE(peak, planned);
        EXPECT_LE(static_cast<double>(planned), slack * static_cast<double>(peak)) << "of " << peak;
    }
};

std::size_t doubles(Index count) { return static_cast<std::size_t>(count) * sizeof(double); }

/// Bytes of the data and the θ of a ResidentCase.
std::size_t resident_bytes(const NetworkCase& c) {
    return doubles(std::ssize(c.features) + std::ssize(c.targets) +
                   std::ssize(c.thetas) * c.network.parameters());
}

/// Trains as a run does: more than one epoch, so that a graph is recorded, and a snapshot. Compares with what
/// a run plans for that (training_bytes() in work_plan.cpp).
void expect_training(const NetworkCase& c, const TrainingSettings& settings, bool own_rates, bool tested,
                     double slack) {
    const NetworkCase held_out = make_case(c.network.shape(), c.examples / 5, 1, 77);
    const auto replicas = std::ssize(c.thetas);
    const Index test_examples = tested ? held_out.examples : 0;
    const Peak peak;
    {
        CudaContext context;
        const ResidentCase<CudaContext> resident(context, c), test(context, held_out);
        std::vector<TrainingSettings> of_replicas;
        for (Index r = 0; own_rates && r < replicas; ++r) {
            of_replicas.push_back(settings);
            of_replicas.back().learning_rate *= static_cast<double>(r + 1);
        }
        Trainer<CudaContext> trainer(context, c.network, resident.examples(),
                                     tested ? test.examples() : Examples<Space::device>{}, settings,
                                     c.flat_theta(), of_replicas);
        EXPECT_STREQ(trainer.method(),
                     settings.fused ? CudaContext::fused_method : CudaContext::stepwise_method);
        trainer.advance_to(3);
        const Snapshot<CudaContext> snapshot = trainer.snapshot();
        trainer.diverged();
    }
    peak.expect(resident_bytes(c) + resident_bytes(held_out) +
                    Trainer<CudaContext>::bytes(c.network, c.examples, test_examples, replicas) +
                    doubles(replicas * (2 * c.network.parameters() + 4)),
                slack);
}

TEST(MemoryPlan, OfTrainings) {
    struct Case {
        NetworkCase networks;
        bool fused;
        double slack = usual_slack;
    };
    // Rates and moments are planned for each replica, also where all replicas have the same rates and
    // gradient descent has no moments. That shows with few examples.
    constexpr double with_few_examples = 1.35;
    for (const auto& [c, fused, slack] :
         {Case{make_case({{2, 10, 1}, {esp}, true, 1.0, sigmoid_cross_entropy}, 690, 3), true},
          Case{make_case({{4, 10, 3}, {tanh}, true, 1.0, softmax_cross_entropy}, 120, 5), true,
               with_few_examples},
          Case{make_case({{4, 10, 3}, {tanh}, true, 1.0, softmax_cross_entropy}, 120, 5), false,
               with_few_examples},
          Case{make_case({{2, 8, 2, 1}, {relu}, true, 1.0, sigmoid_cross_entropy}, 690, 4), false},
          Case{make_case({{20, 18, 3}, {esp}, true, 1.0, softmax_cross_entropy}, 300, 2), false},
          // Many weights and few examples: scratch counts.
          Case{make_case({{150, 20, 1}, {gelu}, true, 1.0, mean_squared_error}, 260, 1), false}})
        for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent})
            for (const bool own_rates : {false, true})
                for (const bool tested : {false, true}) {
                    if (own_rates && (c.thetas.size() == 1 || tested)) continue;
                    SCOPED_TRACE(c.network.widths_text() + (fused ? ", fused" : ", graph") +
                                 (optimizer == Optimizer::adam ? ", Adam" : ", gradient descent") +
                                 (own_rates ? ", rates of each" : "") + (tested ? ", test examples" : ""));
                    expect_training(c, {.optimizer = optimizer, .fused = fused}, own_rates, tested, slack);
                }
}

struct AnalysisCase {
    std::string name;
    NetworkCase networks;
    SpectrumOptions options = {};
    Index solved_again = 0;  ///< matrices: every second one of a batch of cuSOLVER
    double slack = usual_slack;
};

/// Networks with some features that are always zero: the rows of their weights are removed before a solve.
NetworkCase with_zero_features(const NetworkShape& shape, Index features, Index examples, Index replicas) {
    NetworkCase c = make_case(shape, examples, replicas);
    std::fill_n(c.features.begin(), features * examples, 0.0);
    return c;
}

std::vector<AnalysisCase> analysis_cases() {
    const NetworkShape small = {{2, 10, 1}, {esp}},
                       medium = {{20, 10, 2}, {relu}, true, 1.0, softmax_cross_entropy},
                       large = {{50, 10, 2}, {esp}, true, 1.0, softmax_cross_entropy};
    // The copy of the rows that remain is planned, and not taken where all remain.
    constexpr double all_rows_remain = 2.4;
    // Solved one by one, where a batch of 512 rows is planned for.
    constexpr double above_batches = 2.5;
    return {
        {"one step", make_case(small, 300, 20)},
        {"one step, Gauss-Newton", make_case(small, 300, 20), {.gauss_newton = true}},
        {"own solver of one", with_zero_features(small, 1, 60, 1), {.eigenvectors = true}},
        {"small batch with vectors", make_case(small, 60, 7), {.eigenvectors = true}, 3},
        {"batch", with_zero_features(medium, 1, 40, 5), {}, 2},
        {"batch, all rows", make_case(medium, 40, 5), {}, 2, all_rows_remain},
        {"batch with vectors", with_zero_features(medium, 1, 40, 4), {.eigenvectors = true}, 2},
        {"batch with vectors, Gauss-Newton",
         with_zero_features(medium, 1, 40, 3),
         {.eigenvectors = true, .gauss_newton = true},
         2},
        {"batch, many examples", with_zero_features(medium, 1, 900, 3), {.gauss_newton = true}, 2},
        {"one", with_zero_features(medium, 1, 40, 1)},
        {"one with vectors", with_zero_features(medium, 1, 40, 1), {.eigenvectors = true}, 0, single_slack},
        {"large", with_zero_features(large, 1, 20, 3)},
        {"large with vectors", with_zero_features(large, 1, 20, 2), {.eigenvectors = true}, 0, above_batches},
        {"large batch with vectors",
         with_zero_features(large, 5, 20, 2),
         {.eigenvectors = true},
         1,
         single_slack},
        {"large one, all rows", make_case(large, 20, 1), {}, 0, all_rows_remain}};
}

TEST(MemoryPlan, OfAnalyses) {
    for (const AnalysisCase& one : analysis_cases()) {
        SCOPED_TRACE(one.name);
        const NetworkCase& c = one.networks;
        const Index replicas = std::ssize(c.thetas), p = c.network.parameters();
        std::size_t planned = resident_bytes(c) + doubles(replicas * p);  // gradients
        {
            CudaContext context;
            planned +=
                SpectrumAnalyzer<CudaContext>::bytes(context, c.network, c.examples, replicas, one.options);
        }
        const Peak peak;
        {
            CudaContext context;
            const ResidentCase<CudaContext> resident(context, c);
            const auto gradients = upload(context, c.flat_theta());
            SpectrumAnalyzer<CudaContext> analyzer(context, c.network, resident.examples(), replicas,
                                                   one.options);
            Index again = 0;
            for (const Spectrum& spectrum : analyzer.analyze(resident.theta(), gradients.view(replicas, p)))
                again += spectrum.solved_again;
            EXPECT_EQ(again, one.solved_again);
        }
        peak.expect(planned, one.slack);
    }
}

TEST(MemoryPlan, OfSearches) {
    const NetworkCase c =
        with_zero_features({{20, 10, 2}, {relu}, true, 1.0, softmax_cross_entropy}, 1, 40, 1);
    std::size_t planned = resident_bytes(c);
    {
        CudaContext context;
        planned += CriticalPointSearch<CudaContext>::bytes(context, c.network, c.examples);
    }
    const Peak peak;
    {
        CudaContext context;
        const ResidentCase<CudaContext> resident(context, c);
        CriticalPointSearch<CudaContext> search(context, c.network, resident.examples(), {.iterations = 2});
        search.find(c.thetas.front());
    }
    peak.expect(planned, single_slack);
}

/// Networks that are trained in one block and analysed in one step, and others by operations and in batches,
/// with searches on the device.
class MemoryPlanOfARun : public RunTest {
  protected:
    MemoryPlanOfARun()
        : RunTest(R"(
data = { source = "nonlinear", test_fraction = 0.95 }
train = { epochs = 12, replicas = 3 }
spectrum = { epochs = [0, 4, 12] }
critical_points = { epochs = [12], iterations = 1 }
sweep."network.hidden" = [[10], [50]]
)") {}
};

TEST_F(MemoryPlanOfARun, IsNotExceeded) {
    constexpr std::size_t plenty = std::size_t{8} << 30;
    WorkPlan work;
    {
        CudaContext context;
        work = plan_batches(context, RunPlan(networks_), plenty, plenty, 1);
    }
    EXPECT_EQ(work.searches_on_host, (std::vector<bool>{true, false}));
    const Peak peak;
    {
        const RunPlan plan(networks_, work);
        Pipeline<CudaContext> pipeline(plan, MissingWork(networks_), create("run"),
                                       [] { return CudaContext(); });
        EXPECT_EQ(pipeline.run({}, nullptr).state, RunState::complete);
    }
    // The largest training and the largest analysis need not meet.
    peak.expect(work.bytes_needed, 1.5);
}

}  // namespace
}  // namespace espectra
