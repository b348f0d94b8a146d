// Runs that are stopped by signals and kills, and resumed: a file that can be read and resumed, and the same
// results.

#include "espectra/experiments/store/recorded_run.hpp"

#include <gtest/gtest.h>

#include "experiments/app/fault.hpp"
#include "support/results_content.hpp"
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

namespace espectra {
namespace {

using namespace ::espectra::test;
using std::filesystem::exists;

/// The long run, uninterrupted.
class Stopped : public Fault {
  protected:
    static void SetUpTestSuite() {
        reference_folder_ = std::make_unique<TemporaryFolder>();
        reference_folder_->write("long.toml", long_recipe);
        const ProgramResult result =
            run_program({"run", (*reference_folder_ / "long.toml").string(), "--output",
                         (*reference_folder_ / "run").string(), "--json"});
        ASSERT_EQ(result.status, 0) << result.err;
        seconds_ = result.seconds;
    }
    static void TearDownTestSuite() { reference_folder_.reset(); }
    static std::filesystem::path reference() { return *reference_folder_ / "run" / "results.h5"; }

    /// Expects every record of the file to equal that of the uninterrupted run; returns their number.
    static std::size_t expect_records_of_reference(const std::filesystem::path& path) {
        const Hdf5File file = Hdf5File::open(path), whole = Hdf5File::open(reference());
        const std::string prefix = std::string(long_group) + "/";
        const auto alpha = file.read<double>(prefix + "alpha");
        std::size_t complete = 0;
        for (const double value : alpha) complete += std::isnan(value) ? 0 : 1;
        for (const char* name : {"alpha", "gamma", "cost", "theta", "eigenvalues", "trace_error"}) {
            const auto values = file.read<double>(prefix + name),
                       expected = whole.read<double>(prefix + name);
            const std::size_t width = values.size() / alpha.size();
            for (std::size_t i = 0; i < values.size(); ++i)
                EXPECT_TRUE(std::isnan(alpha[i / width]) || values[i] == expected[i]) << name << " " << i;
        }
        return complete;
    }
    /// Starts the long run and waits until it writes records.
    std::unique_ptr<Program> start(const std::string& name, const Words& more = {},
                                   const Program::Setup& setup = {}) const {
        auto program = std::make_unique<Program>(words("long.toml", name, more), setup);
        EXPECT_TRUE(wait_until([&] { return exists(any_file(name)); }));
        std::this_thread::sleep_for(std::chrono::duration<double>(0.25 * seconds_));
        return program;
    }

    static inline std::unique_ptr<TemporaryFolder> reference_folder_;
    static inline double seconds_ = 0;
};

TEST_F(Stopped, BySignalsAndResumed) {
    std::string more;
    for (const int number : {SIGINT, SIGTERM}) {
        const auto program = start("out", more.empty() ? Words{} : Words{more});
        const auto before = std::chrono::steady_clock::now();
        program->signal(number);
        const ProgramResult result = program->wait();
        EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
        ASSERT_EQ(result.status, 130) << result.err;
        EXPECT_CONTAINS(result.last_error_line(), "interrupted");
        ASSERT_TRUE(exists(final_file("out")));
        EXPECT_FALSE(exists(partial_file("out")));
        EXPECT_EQ(state_of(Hdf5File::open(final_file("out"))), "interrupted");
        const std::size_t complete = expect_records_of_reference(final_file("out"));
        EXPECT_GT(complete, 0u);
        EXPECT_LT(complete, 202u);
        EXPECT_EQ(open_recorded_runs(final_file("out")).size(), 2u);
        more = "--resume";
    }
    ASSERT_EQ(run_program(words("long.toml", "out", {"--resume"})).status, 0);
    expect_same_results(final_file("out"), reference());
    // The times of all three sessions.
    EXPECT_GT(Hdf5File::open(final_file("out")).attribute<double>("/", "wall_seconds").at(0), 0.5 * seconds_);
}

TEST_F(Stopped, TogetherWithTheReaderOfItsOutput) {
    for (const Words& more : {Words{}, Words{"--resume", "--json"}}) {
        const auto program = start("out", more, break_output_pipe);
        program->signal(SIGINT);
        EXPECT_EQ(program->wait().status, 130);
        EXPECT_EQ(state_of(Hdf5File::open(final_file("out"))), "interrupted");
        EXPECT_TRUE(std::filesystem::remove(folder_ / "out" / "summary.txt"));
    }
}

TEST_F(Stopped, DuringALongEigensolve) {
    folder_.write("digits.toml",
                  "[data]\nsource = \"digits\"\n[network]\nhidden = [40]\n[train]\nepochs = 3\n"
                  "[spectrum]\nepochs = [0, 1, 2, 3]\n");
    Program program(words("digits.toml", "out"));
    ASSERT_TRUE(wait_until([&] { return exists(partial_file("out")); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    const auto before = std::chrono::steady_clock::now();
    program.signal(SIGINT);
    const ProgramResult result = program.wait();
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
    EXPECT_EQ(result.status, 130) << result.err;
    EXPECT_EQ(state_of(Hdf5File::open(final_file("out"))), "interrupted");
}

TEST_F(Stopped, ByKillsAtAnyMoment) {
    std::mt19937 random(20);
    // Early moments too, while the file is laid out.
    std::uniform_real_distribution<double> moment(0.0, 0.12 * seconds_);
    std::size_t complete = 0;
    int killed = 0;
    for (; killed < 20; ++killed) {
        Program program(words("long.toml", "out", {"--resume"}));
        std::this_thread::sleep_for(
            std::chrono::duration<double>(killed % 4 == 0 ? 0.1 * moment(random) : moment(random)));
        program.signal(SIGKILL);
        const ProgramResult result = program.wait();
        if (result.status == 0) break;
        ASSERT_EQ(result.status, 128 + SIGKILL) << result.err;
        EXPECT_FALSE(exists(final_file("out")));
        if (!exists(partial_file("out"))) continue;  // it was not laid out yet
        const std::size_t now = expect_records_of_reference(partial_file("out"));
        EXPECT_GE(now, complete);
        complete = now;
        EXPECT_EQ(state_of(Hdf5File::open(partial_file("out"))), "running");
        EXPECT_EQ(open_recorded_runs(partial_file("out")).size(), 2u);
    }
    EXPECT_GE(killed, 4);
    ASSERT_EQ(run_program(words("long.toml", "out", {"--resume"})).status, 0);
    EXPECT_FALSE(exists(partial_file("out")));
    expect_same_results(final_file("out"), reference());
}

// A sweep of twelve combinations in common batches, with searches for critical points, killed fifty times;
// a run that completes is started anew.
TEST_F(Stopped, SweepByFiftyKills) {
    folder_.write("sweep.toml", R"(
[data]
source = "linear"
[train]
epochs = 200
replicas = 12
[spectrum]
schedule = { dense_until = 100, dense_step = 5, step = 10 }
[critical_points]
epochs = [0, 50, 110, 200]
iterations = 4
[sweep]
"train.learning_rate" = [0.01, 0.02]
"network.activation" = ["esp", "relu", "sigmoid"]
"network.hidden" = [[10], [8, 2]]
)");
    const ProgramResult uninterrupted = run_program(words("sweep.toml", "uninterrupted"));
    ASSERT_EQ(uninterrupted.status, 0) << uninterrupted.err;
    std::mt19937 random(50);
    std::uniform_real_distribution<double> moment(0.0, 0.3 * uninterrupted.seconds);
    int killed = 0, completed = 0, with_records = 0, with_searches = 0;
    while (killed < 50) {
        Program program(words("sweep.toml", "out", {"--resume"}));
        std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
        program.signal(SIGKILL);
        const ProgramResult result = program.wait();
        if (result.status == 0) {
            expect_same_results(final_file("out"), final_file("uninterrupted"));
            std::filesystem::remove_all(folder_ / "out");
            ++completed;
            continue;
        }
        ASSERT_EQ(result.status, 128 + SIGKILL) << result.err;
        ++killed;
        if (!exists(partial_file("out"))) continue;
        const Hdf5File file = Hdf5File::open(partial_file("out"));
        const auto holds = [&](const std::string& dataset) {
            return std::ranges::any_of(file.read<double>("linear_2-10-1_esp_learning_rate=0.01/" + dataset),
                                       [](double value) { return !std::isnan(value); });
        };
        with_records += holds("alpha");
        with_searches += holds("critical_points/converged");
    }
    EXPECT_GE(with_records, 10);
    EXPECT_GT(with_searches, 0);
    ASSERT_EQ(run_program(words("sweep.toml", "out", {"--resume"})).status, 0);
    expect_same_results(final_file("out"), final_file("uninterrupted"));
    RecordProperty("completed", completed);
    RecordProperty("with_searches", with_searches);
}

TEST_F(Stopped, FolderInUse) {
    const auto first = start("out");
    expect_failure(run_program(words("long.toml", "out")), 2, {"the folder exists"});
    expect_failure(run_program(words("long.toml", "out", {"--resume"})), 2,
                   {folder_ / "out", "another espectra run is at work"});
    first->signal(SIGTERM);
    EXPECT_EQ(first->wait().status, 130);
    EXPECT_GT(expect_records_of_reference(final_file("out")), 0u);
}

TEST_F(Fault, Resume) {
    // An empty folder, or one of a process that ended before it had laid out the file, gets a new run.
    std::filesystem::create_directory(folder_ / "out");
    folder_.write("out/results.h5.new", "rubbish");
    ASSERT_EQ(run_program(words("tiny.toml", "out", {"--resume"})).status, 0);
    EXPECT_FALSE(exists(folder_ / "out/results.h5.new"));
    ASSERT_EQ(run_program(words("tiny.toml", "new", {"--resume"})).status, 0);
    expect_same_results(final_file("out"), final_file("new"));

    const double seconds = Hdf5File::open(final_file("out")).attribute<double>("/", "wall_seconds").at(0);
    const ProgramResult again = run_program(words("tiny.toml", "out", {"--resume"}));
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_LT(again.seconds, 5);
    EXPECT_CONTAINS(again.out, "nothing was left to do");
    EXPECT_CONTAINS(again.out, "linear_2-3-1_esp");
    expect_same_results(final_file("out"), final_file("new"));
    EXPECT_GE(Hdf5File::open(final_file("out")).attribute<double>("/", "wall_seconds").at(0), seconds);

    expect_failure(run_program(words("tiny.toml", "out", {"--resume", "--set", "train.epochs=30"})), 2,
                   {final_file("out"), "another recipe"});
    folder_.write("tiny.toml", std::string(tiny_recipe) + "seed = 4\n");
    expect_failure(run_program(words("tiny.toml", "out", {"--resume"})), 2,
                   {final_file("out"), "another recipe", "tiny.toml"});
    RecordedSample().write(folder_ / "run.h5");
    std::filesystem::copy_file(folder_ / "run.h5", final_file("out"),
                               std::filesystem::copy_options::overwrite_existing);
    expect_failure(run_program(words("tiny.toml", "out", {"--resume"})), 2, {final_file("out"), "recipe"});
}

}  // namespace
}  // namespace espectra
