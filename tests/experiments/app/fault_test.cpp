#include "espectra/experiments/store/recorded_run.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "support/program_run.hpp"
#include "support/results_content.hpp"
#include <cmath>
#include <random>

// What the espectra executable does when memory, disk or numbers give out, or when it is stopped: an exit
// status, one line, and a file that can be read and gone on with.

namespace espectra {
namespace {

using namespace ::espectra::test;
using Words = std::vector<std::string>;
using std::filesystem::exists;

constexpr const char* tiny_recipe =
    "[data]\nsource = \"linear\"\n[network]\nhidden = [3]\n[train]\nepochs = 20\n";

/// About a second of work in 200 spectra of 302 parameters.
constexpr const char* long_recipe = R"([data]
source = "nonlinear"
[network]
hidden = [60]
[train]
epochs = 500
replicas = 2
[spectrum]
schedule = { dense_until = 500, dense_step = 5, step = 5 }
)";
constexpr const char* long_group = "nonlinear_2-60-1_esp";

Program::Setup limit(int resource, rlim_t value) {
    return [=] {
        const rlimit both = {value, value};
        if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &both) != 0) ::_exit(126);
    };
}

class Fault : public ::testing::Test {
  protected:
    Words words(const std::string& recipe, const std::string& name, const Words& more = {}) const {
        Words all = {"run", (folder_ / recipe).string(), "--output", (folder_ / name).string()};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    std::filesystem::path final_file(const std::string& name) const { return folder_ / name / "results.h5"; }
    std::filesystem::path partial_file(const std::string& name) const {
        return folder_ / name / "results.h5.partial";
    }
    /// What there is of a run's results, final or not.
    std::filesystem::path any_file(const std::string& name) const {
        return exists(partial_file(name)) ? partial_file(name) : final_file(name);
    }
    void SetUp() override {
        folder_.write("tiny.toml", tiny_recipe);
        folder_.write("long.toml", long_recipe);
    }

    TemporaryFolder folder_;
};

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

    /// Every record that is there is that of the uninterrupted run; returns how many there are.
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

TEST_F(Fault, HessianThatFitsNoMemory) {
    for (const char* hidden :
         {"network.hidden=[400000]", "network.hidden=[1000000000]", "network.hidden=[70000,70000]"})
        expect_failure(run_program(words("tiny.toml", "out", {"--set", hidden})), 4,
                       {"memory", "parameters needs ", " GB, ", " GB available"});
    EXPECT_FALSE(exists(folder_ / "out"));
}

TEST_F(Fault, HessianThatFitsNotTheMemoryLimit) {
    // 20002 parameters: 3.2 GB. In CUDA builds the libraries alone take 1.3 GB of addresses.
    const auto limited = limit(RLIMIT_AS, 2'000'000'000);
    const ProgramResult result =
        run_program(words("tiny.toml", "out", {"--set", "network.hidden=[4000]"}), limited);
    expect_failure(result, 4, {"20002 parameters needs ", " GB available"});
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(exists(folder_ / "out"));
    EXPECT_EQ(run_program(words("tiny.toml", "out"), limited).status, 0);
    // A recorded run is refused in the same words.
    RecordedSample sample;
    sample.widths = {2, 4000, 1};
    sample.parameters = 16001;
    sample.write(folder_ / "large.h5");
    for (const char* command : {"hessian", "replay"})
        expect_failure(run_program({command, folder_ / "large.h5", "--json"}, limited), 4,
                       {"16001 parameters needs ", " GB available"});
}

// OpenBLAS would wait for ever for the buffer of its first product. How much the libraries of this build take
// themselves depends on the backends: the limit is the least, in steps smaller than that buffer, under which
// the program starts.
TEST_F(Fault, AddressSpaceWithoutRoomForOneThread) {
    rlim_t bytes = 200'000'000;
    const auto starts = [&] {  // just below, OpenBLAS waits for ever as it is loaded
        return Program({"--version"}, limit(RLIMIT_AS, bytes)).wait(std::chrono::seconds(2)).status == 0;
    };
    while (!starts()) {
        bytes += 50'000'000;
        ASSERT_LT(bytes, 20'000'000'000u) << "the program does not start under any limit";
    }
    expect_failure(run_program(words("tiny.toml", "out"), limit(RLIMIT_AS, bytes)), 4,
                   {"ulimit -v", "one thread with OpenBLAS needs 0.268 GB"});
    EXPECT_FALSE(exists(folder_ / "out"));
}

TEST_F(Fault, ResultsThatFitNotTheDisk) {
    const ProgramResult result =
        run_program(words("tiny.toml", "out",
                          {"--set", "spectrum.eigenvectors=true", "--set", "network.hidden=[250]", "--set",
                           "train.epochs=100000", "--set", "train.replicas=1000"}));
    expect_failure(result, 4, {folder_ / "out", "the results need ", " GB free on this disk"});
    EXPECT_FALSE(exists(folder_ / "out"));
}

TEST_F(Fault, FileSizeLimit) {
    for (const rlim_t bytes : {2000, 20'000, 30'000}) {
        expect_failure(run_program(words("tiny.toml", "out"), limit(RLIMIT_FSIZE, bytes)), 4,
                       {folder_ / "out", "File too large"});
        EXPECT_FALSE(exists(folder_ / "out"));
    }
    RecordedSample().write(folder_ / "run.h5");
    const auto output = folder_ / "hessian.h5";
    expect_failure(
        run_program({"hessian", folder_ / "run.h5", "--output", output}, limit(RLIMIT_FSIZE, 4000)), 4,
        {output, "File too large"});
    EXPECT_FALSE(exists(output));
    EXPECT_FALSE(exists(output.string() + ".partial"));
}

TEST_F(Fault, FullDisk) {
    const auto disk = folder_ / "disk";
    std::filesystem::create_directory(disk);
    int failed = 0, done = 0;
    for (int kilobytes = 8; kilobytes <= 200; kilobytes += 16) {
        const std::string size = "size=" + std::to_string(kilobytes) + "k";
        if (::mount("none", disk.c_str(), "tmpfs", 0, size.c_str()) != 0) {
            const std::string reason = std::strerror(errno);
            if (std::getenv("ESPECTRA_REQUIRE_MOUNT")) FAIL() << "a small disk cannot be mounted: " << reason;
            GTEST_SKIP() << "a small disk cannot be mounted: " << reason;
        }
        const ProgramResult result = run_program(words("tiny.toml", "disk/out"));
        EXPECT_TRUE(result.status == 0 || result.status == 4) << result.status << ": " << result.err;
        if (result.status == 4) {
            ++failed;
            EXPECT_CONTAINS(result.last_error_line(), disk.string());
        } else {
            ++done;
        }
        // Either nothing is left or something that can be read.
        EXPECT_TRUE(!exists(disk / "out") || !open_recorded_runs(any_file("disk/out")).empty()) << kilobytes;
        EXPECT_EQ(::umount(disk.c_str()), 0);
    }
    EXPECT_GT(failed, 0);
    EXPECT_GT(done, 0);
}

TEST_F(Fault, OutputThatCannotBeWritten) {
    const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO); };
    expect_failure(run_program({"info"}, full), 4, {"standard output"});
    const ProgramResult result = run_program(words("tiny.toml", "out", {"--json"}), full);
    expect_failure(result, 4, {"standard output"});
    EXPECT_EQ(state_of(Hdf5File::open(final_file("out"))), "complete");
}

/// Standard output and error become a pipe that nobody reads.
void break_output_pipe() {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(126);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(Fault, ClosedStreams) {
    const auto closed = [](const std::vector<int>& streams) {
        return [=] {
            for (const int stream : streams) ::close(stream);
        };
    };
    EXPECT_EQ(run_program(words("tiny.toml", "no_stderr"), closed({STDERR_FILENO})).status, 0);
    EXPECT_EQ(run_program(words("tiny.toml", "no_stderr"), closed({STDERR_FILENO})).status, 2);  // it exists
    EXPECT_EQ(run_program({"frobnicate"}, closed({STDIN_FILENO, STDERR_FILENO})).status, 2);
    expect_failure(run_program({"info"}, closed({STDOUT_FILENO})), 4, {"standard output"});
    const auto all = closed({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
    EXPECT_EQ(run_program(words("tiny.toml", "none"), all).status, 4);
    for (const char* name : {"no_stderr", "none"}) {
        EXPECT_EQ(state_of(Hdf5File::open(final_file(name))), "complete");
        EXPECT_FALSE(exists(partial_file(name)));
        EXPECT_TRUE(exists(folder_ / name / "summary.txt"));
    }
}

TEST_F(Fault, PipeWithoutAReader) {
    EXPECT_EQ(run_program({"info"}, break_output_pipe).status, 4);
    EXPECT_EQ(run_program(words("tiny.toml", "out"), break_output_pipe).status, 4);
    EXPECT_EQ(state_of(Hdf5File::open(final_file("out"))), "complete");
    EXPECT_TRUE(exists(folder_ / "out" / "summary.txt"));
}

TEST_F(Fault, Divergence) {
    const ProgramResult result = run_program(
        words("tiny.toml", "out",
              {"--set", "train.optimizer=gradient_descent", "--set", "train.learning_rate=1e4", "--set",
               "network.loss=mean_squared_error", "--set", "spectrum.schedule.dense_step=1", "--set",
               "train.epochs=500", "--set", "train.replicas=2", "--json"}));
    EXPECT_EQ(result.status, 3) << result.err;
    for (const char* part : {"linear_2-3-1_esp", "replica ", "epoch ", "results.h5"})
        EXPECT_CONTAINS(result.last_error_line(), part);
    const auto json = result.json();
    EXPECT_EQ(json.at("state"), "diverged");
    EXPECT_GE(json.at("failures").size(), 2u);

    const Hdf5File file = Hdf5File::open(final_file("out"));
    EXPECT_EQ(state_of(file), "diverged");
    const std::string prefix = "linear_2-3-1_esp/";
    const auto alpha = file.read<double>(prefix + "alpha"),
               lambda = file.read<double>(prefix + "eigenvalues"), cost = file.read<double>(prefix + "cost");
    std::size_t complete = 0;
    for (std::size_t i = 0; i < alpha.size(); ++i) {
        if (std::isnan(alpha[i])) continue;
        ++complete;
        EXPECT_TRUE(std::isfinite(cost[i]));
        for (std::size_t p = 0; p < 17; ++p) EXPECT_TRUE(std::isfinite(lambda[i * 17 + p]));
    }
    EXPECT_GE(complete, 4u);
    EXPECT_LT(complete, alpha.size());
    const auto runs = open_recorded_runs(final_file("out"));
    EXPECT_GE(runs.at(0).snapshots(), 2);
    EXPECT_EQ(run_program({"hessian", final_file("out"), "--network", "linear_2-3-1_esp", "--snapshot", "1"})
                  .status,
              0);
}

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
    // Early ones too: while the file is laid out.
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
// where it comes to its end, it starts anew.
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
    // There is nothing yet, or what a process left that ended before it had laid out the file: a new run.
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
