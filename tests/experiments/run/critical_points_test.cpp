// Searches for critical points in a run: their records, stopped and resumed, and results files without them.

#include "espectra/experiments/replay/replay.hpp"
#include "espectra/experiments/run/pipeline.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "experiments/run/run_test.hpp"
#include "support/results_content.hpp"
#include <cmath>
#include <limits>

namespace espectra {
namespace {

using Values = std::vector<double>;

const std::vector<std::string> columns = test::search_columns();

class CriticalPoints : public test::RunTest {
  protected:
    static constexpr Index replicas = 3, epochs = 2;

    CriticalPoints()
        : RunTest(R"(
data.source = "linear"
network = { hidden = [3], loss = "mean_squared_error" }
train = { epochs = 60, replicas = 3 }
spectrum.epochs = [0, 10, 40, 60]
critical_points = { epochs = [60, 10], iterations = 60 }
sweep."network.activation" = ["esp", "relu"]
)") {}

    static std::string group(const PlannedNetwork& planned) { return planned.name + "/critical_points/"; }

    /// Expects both files to have the same searches, bit for bit.
    void expect_same(const std::filesystem::path& a, const std::filesystem::path& b) {
        const Hdf5File first = Hdf5File::open(a), second = Hdf5File::open(b);
        for (const PlannedNetwork& planned : networks_) {
            std::vector<std::string> names = columns;
            names.insert(names.end(), {"theta", "eigenvalues", "epoch"});
            for (const std::string& name : names)
                test::expect_same_bits(first.read<double>(group(planned) + name),
                                       second.read<double>(group(planned) + name), name);
        }
    }
};

TEST_F(CriticalPoints, AreThoseOfASearchFromTheSnapshot) {
    const RunOutcome outcome = run("out", {.workers = 2});
    EXPECT_EQ(outcome.state, RunState::complete);
    EXPECT_EQ(outcome.spectra, 2 * replicas * 4);
    EXPECT_EQ(outcome.searches, 2 * replicas * epochs);
    const Hdf5File file = Hdf5File::open(outcome.file);
    int converged = 0;
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        const PlannedNetwork& planned = networks_[n];
        const Index p = planned.network.parameters();
        EXPECT_EQ(file.read<std::int64_t>(group(planned) + "epoch"), (std::vector<std::int64_t>{10, 60}));
        const auto snapshots = file.read<double>(planned.name + "/theta", {replicas, 4, p});
        const auto theta = file.read<double>(group(planned) + "theta", {replicas, epochs, p});
        const auto eigenvalues = file.read<double>(group(planned) + "eigenvalues", {replicas, epochs, p});
        const DataSet& data = *planned.data;
        CpuContext context(1);
        CriticalPointSearch<CpuContext> search(
            context, planned.network,
            {make_view(data.x_train.data(), data.features, data.train_examples),
             make_view(data.y_train.data(), data.outputs, data.train_examples)},
            {.iterations = 60});
        Index found = 0;
        for (Index r = 0; r < replicas; ++r)
            for (Index k = 0; k < epochs; ++k) {
                const auto begin = snapshots.begin() + (r * 4 + (k == 0 ? 1 : 3)) * p;
                const CriticalPoint expected = search.find({begin, begin + p});
                const Index at = r * epochs + k;
                EXPECT_EQ(Values(theta.begin() + at * p, theta.begin() + (at + 1) * p), expected.theta);
                EXPECT_EQ(Values(eigenvalues.begin() + at * p, eigenvalues.begin() + (at + 1) * p),
                          expected.spectrum.eigenvalues);
                const auto number = [&](const char* name) {
                    return file.read<double>(group(planned) + name,
                                             {replicas, epochs})[static_cast<std::size_t>(at)];
                };
                EXPECT_EQ(number("converged"), expected.converged() ? 1 : 0);
                EXPECT_EQ(number("outcome"), static_cast<double>(expected.outcome));
                EXPECT_EQ(number("cost"), expected.cost);
                EXPECT_EQ(number("gradient_norm"), expected.gradient_norm);
                EXPECT_EQ(number("distance"), expected.distance);
                EXPECT_EQ(number("iterations"), static_cast<double>(expected.iterations));
                EXPECT_EQ(number("alpha"), expected.spectrum.alpha);
                EXPECT_EQ(number("gamma"), expected.spectrum.gamma);
                EXPECT_EQ(number("tau"), expected.spectrum.tolerance);
                EXPECT_NEAR(number("gamma"),
                            number("gamma_dead_inputs") + number("gamma_dead_units") +
                                number("gamma_symmetry") + number("gamma_numerical"),
                            1e-15);
                EXPECT_LE(number("trace_error"), certificate_limit(p));
                EXPECT_LE(number("symmetry_residual"), certificate_limit(p));
                EXPECT_GE(number("seconds"), 0);
                EXPECT_TRUE(!expected.converged() || number("gradient_norm") <= 1e-10);
                found += expected.converged();
            }
        converged += static_cast<int>(found);
        ASSERT_EQ(outcome.critical_points.size(), networks_.size());
        const CriticalPointSummary& summary = outcome.critical_points[n];
        EXPECT_EQ(summary.network, planned.name);
        EXPECT_EQ(summary.wanted, replicas * epochs);
        EXPECT_EQ(summary.done, replicas * epochs);
        EXPECT_EQ(summary.converged, found);
    }
    EXPECT_GT(converged, 0);
}

TEST_F(CriticalPoints, HaveTheSameBitsForAnyNumberOfWorkers) {
    const auto one = run("one", {.workers = 1}).file;
    expect_same(run("three", {.workers = 3}).file, one);
    const WorkPlan batches{
        .workers = 2, .trainings = 1, .analyses = 1, .replicas_per_batch = {replicas, replicas}};
    expect_same(run("batches", batches).file, one);
}

// A device trains and analyses, here by groups of threads; the searches have the bits of the CPU.
TEST_F(CriticalPoints, OnTheHostOfADevice) {
    load({"train.epochs=10", "spectrum.epochs=[0, 10]", "critical_points.epochs=[0, 10]"});
    const auto expected = run("cpu", {.workers = 1}).file;
    const WorkPlan work{.workers = 2,
                        .trainings = 1,
                        .analyses = 1,
                        .replicas_per_batch = {replicas, replicas},
                        .searchers = 2,
                        .searches_on_host = {true, true}};
    const RunPlan plan(networks_, work);
    Pipeline<test::EmulatedContext> pipeline(plan, MissingWork(networks_), create("device"),
                                             [] { return test::EmulatedContext(1); });
    const RunOutcome outcome = pipeline.run({}, nullptr);
    EXPECT_EQ(outcome.state, RunState::complete);
    EXPECT_EQ(outcome.workers, 4);
    EXPECT_EQ(outcome.searches, 2 * replicas * epochs);
    expect_same(outcome.file, expected);
}

TEST_F(CriticalPoints, ResumeAfterAStop) {
    const auto whole = run("whole", {.workers = 2}).file;
    std::stop_source stop;
    const RunOutcome first = run(create("parts"), {.workers = 2}, stop.get_token(),
                                 [&](const RunProgress&) { stop.request_stop(); });
    const RunOutcome second = run(resume("parts"), {.workers = 1});
    EXPECT_EQ(second.state, RunState::complete);
    EXPECT_EQ(first.searches + second.searches, 2 * replicas * epochs);
    expect_same(second.file, whole);
}

TEST_F(CriticalPoints, AreAllThatIsDoneWhereSnapshotsAreThere) {
    const auto whole = run("whole", {.workers = 2}).file;
    const auto parts = output("parts") / "results.h5";
    std::filesystem::copy_file(whole, parts);
    {
        Hdf5File file = Hdf5File::open_for_update(parts);
        const double none = std::numeric_limits<double>::quiet_NaN();
        for (const std::string& column : columns)
            file.write_slab(group(networks_[1]) + column, {2, 1}, {1, 1}, &none);
        file.write_slab(group(networks_[0]) + "converged", {0, 0}, {1, 1}, &none);
    }
    const RunOutcome outcome = run(resume("parts"), {.workers = 2});
    EXPECT_EQ(outcome.state, RunState::complete);
    EXPECT_EQ(outcome.spectra, 0);
    EXPECT_EQ(outcome.training_seconds, 0);
    EXPECT_EQ(outcome.searches, 2);
    expect_same(outcome.file, whole);
}

TEST_F(CriticalPoints, OfAReplicaThatDivergedAreMissing) {
    networks_[1].recipe.training.optimizer = Optimizer::gradient_descent;
    networks_[1].recipe.training.learning_rate = 1e300;
    const RunOutcome outcome = run("out", {.workers = 2});
    EXPECT_EQ(outcome.state, RunState::diverged);
    EXPECT_EQ(outcome.critical_points[0].done, replicas * epochs);
    EXPECT_EQ(outcome.critical_points[1].done, 0);
    EXPECT_EQ(outcome.critical_points[1].converged, 0);
}

TEST_F(CriticalPoints, LawsAreAttributesAndText) {
    load({"critical_points.epochs=all", "train.replicas=12", "sweep.network.activation=[\"relu\"]"});
    const auto names = {"_exponent", "_coefficient", "_critical_cost"};
    {
        ResultsFile created = create("new");
        const Hdf5File file = Hdf5File::open(ResultsFile::partial_path(output("new")));
        for (const std::string law : {"three_halves", "free"})
            for (const char* name : names) {
                const auto values =
                    file.attribute<double>(networks_[0].name + "/critical_points", law + name);
                ASSERT_EQ(values.size(), 3u);
                for (const double value : values) EXPECT_TRUE(std::isnan(value));
            }
    }
    const RunOutcome outcome = run("out", {.workers = 2});
    const CriticalPointSummary& summary = outcome.critical_points.at(0);
    const Hdf5File file = Hdf5File::open(outcome.file);
    const std::string place = networks_[0].name + "/critical_points";
    EXPECT_EQ(file.attribute<double>(place, "gradient_tolerance"), Values{1e-10});
    EXPECT_EQ(file.attribute<std::int64_t>(place, "iterations"), std::vector<std::int64_t>{60});
    std::vector<IndexAtCost> points;
    const auto converged = file.read<double>(place + "/converged"), cost = file.read<double>(place + "/cost"),
               alpha = file.read<double>(place + "/alpha");
    for (std::size_t i = 0; i < converged.size(); ++i)
        if (converged[i] == 1) points.push_back({cost[i], alpha[i], static_cast<Index>(i / 4)});
    const IndexLaw expected = fit_index_law(points, theoretical_exponent);
    ASSERT_TRUE(expected.found());
    const auto same = [&](const Estimate& e, const std::string& name) {
        test::expect_same_bits(file.attribute<double>(place, "three_halves" + name), {e.value, e.low, e.high},
                               name);
    };
    same(expected.coefficient, "_coefficient");
    same(expected.critical_cost, "_critical_cost");
    EXPECT_EQ(file.attribute<double>(place, "three_halves_residual"), Values{expected.residual});
    EXPECT_EQ(summary.three_halves.coefficient.value, expected.coefficient.value);

    const std::string text = critical_points_text(outcome.critical_points);
    EXPECT_NE(text.find("critical points of " + networks_[0].name), std::string::npos) << text;
    EXPECT_NE(text.find(" of 48 searches converged"), std::string::npos) << text;
    EXPECT_NE(text.find("^1.5: c = "), std::string::npos) << text;
    CriticalPointSummary none;
    EXPECT_EQ(critical_points_text({none}), "");
    none.network = "n";
    none.wanted = 5;
    none.done = 4;
    EXPECT_EQ(critical_points_text({none}),
              "critical points of n: 0 of 4 searches converged (5 wanted); too few distinct critical points "
              "for alpha against cost\n");
}

TEST_F(CriticalPoints, DoNotAffectAReplay) {
    const RunOutcome outcome = run("out", {.workers = 2});
    const ReplayReport report = replay(open_recorded_runs(outcome.file), CpuDevice{.threads = 2}, nullptr);
    EXPECT_EQ(report.snapshots, outcome.spectra);
    EXPECT_EQ(report.eigenvalue_error_max, 0.0);
}

/// Writes one group of a results.h5 in the format from before γ was divided into its parts.
void write_older_file(const Hdf5File& file, const std::string& group, const std::filesystem::path& path) {
    Hdf5File older = Hdf5File::create(path);
    older.create_group(group);
    older.create_group(group + "/data");
    older.set_attribute("/", "recipe", file.attribute_string("/", "recipe"));
    older.set_attribute("/", "wall_seconds", 1.0);
    older.set_attribute("/", "state", file.attribute_string("/", "state"));
    older.set_attribute(group, "widths", file.attribute<std::int64_t>(group, "widths"));
    for (const char* name : {"hidden_activation", "loss", "optimizer"})
        older.set_attribute(group, name, file.attribute_string(group, name));
    for (const char* name : {"trainable_beta", "fixed_beta", "learning_rate", "decay_rate", "decay_steps"})
        older.set_attribute(group, name, file.attribute<double>(group, name).at(0));
    for (const char* name : {"theta", "theta_initial", "eigenvalues", "cost", "gradient_norm", "alpha",
                             "gamma", "gamma_dead", "data/X_train", "data/Y_train"})
        older.write(group + "/" + name, file.extents(group + "/" + name),
                    file.read<double>(group + "/" + name));
    older.write(group + "/epoch", file.extents(group + "/epoch"), file.read<std::int64_t>(group + "/epoch"));
    older.close();
}

TEST_F(CriticalPoints, OlderResultsAreReadButNotResumed) {
    load({"critical_points.epochs=none", "sweep.network.activation=[\"relu\"]"});
    const auto path = output("older") / "results.h5";
    write_older_file(Hdf5File::open(run("out", {.workers = 2}).file), networks_[0].name, path);
    const ReplayReport report = replay(open_recorded_runs(path), CpuDevice{.threads = 2}, nullptr);
    EXPECT_EQ(report.snapshots, replicas * 4);
    EXPECT_EQ(report.theta_error_max, 0.0);
    EXPECT_EQ(report.eigenvalue_error_max, 0.0);
    EXPECT_EQ(report.gamma_dead_mismatches, 0);
    try {
        resume("older");
        FAIL();
    } catch (const InputError& error) {
        EXPECT_NE(std::string(error.what()).find("made by an older version"), std::string::npos)
            << error.what();
    }
}

}  // namespace
}  // namespace espectra
