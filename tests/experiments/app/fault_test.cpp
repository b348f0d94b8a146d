// The espectra executable when memory, disk or numbers give out: an exit status, one line, and a file that
// can be read.

#include "experiments/app/fault.hpp"

#include "espectra/experiments/store/recorded_run.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "support/results_content.hpp"
#include <cmath>

namespace espectra {
namespace {

using namespace ::espectra::test;
using std::filesystem::exists;

Program::Setup limit(int resource, rlim_t value) {
    return [=] {
        const rlimit both = {value, value};
        if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &both) != 0) ::_exit(126);
    };
}

TEST_F(Fault, HessianThatDoesNotFitTheMemory) {
    for (const char* hidden :
         {"network.hidden=[400000]", "network.hidden=[1000000000]", "network.hidden=[70000,70000]"})
        expect_failure(run_program(words("tiny.toml", "out", {"--set", hidden})), 4,
                       {"memory", "parameters needs ", " GB, ", " GB available"});
    EXPECT_FALSE(exists(folder_ / "out"));
}

TEST_F(Fault, HessianThatDoesNotFitTheMemoryLimit) {
    // 20002 parameters: 3.2 GB. In CUDA builds the libraries alone take 1.3 GB of addresses.
    const auto limited = limit(RLIMIT_AS, 2'000'000'000);
    const ProgramResult result =
        run_program(words("tiny.toml", "out", {"--set", "network.hidden=[4000]"}), limited);
    expect_failure(result, 4, {"20002 parameters needs ", " GB available"});
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(exists(folder_ / "out"));
    EXPECT_EQ(run_program(words("tiny.toml", "out"), limited).status, 0);
    // A recorded run is refused with the same words.
    RecordedSample sample;
    sample.widths = {2, 4000, 1};
    sample.parameters = 16001;
    sample.write(folder_ / "large.h5");
    for (const char* command : {"hessian", "replay"})
        expect_failure(run_program({command, folder_ / "large.h5", "--json"}, limited), 4,
                       {"16001 parameters needs ", " GB available"});
}

// OpenBLAS would wait for ever for the buffer of its first product. The memory of the libraries depends on
// the backends of the build, so the limit is the smallest under which the program starts, found in steps
// smaller than that buffer.
TEST_F(Fault, AddressSpaceWithoutRoomForOneThread) {
    rlim_t bytes = 200'000'000;
    const auto starts = [&] {  // just below, OpenBLAS waits for ever while it is loaded
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

TEST_F(Fault, ResultsThatDoNotFitTheDisk) {
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
        // Either nothing is left, or a file that can be read.
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

}  // namespace
}  // namespace espectra
