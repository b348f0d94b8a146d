// `espectra run` on a CUDA device against the same run on the CPU: the digits networks, small networks, a
// sweep that is killed and resumed, and a solver that makes mistakes. Without a device the tests are skipped,
// or fail with ESPECTRA_REQUIRE_GPU=1.

#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/runtime/cuda/device.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include "experiments/app/fault.hpp"
#include "support/results_content.hpp"
#include "support/skip_without_device.hpp"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace espectra {
namespace {

using namespace ::espectra::test;
using std::filesystem::exists;
using Values = std::vector<double>;

/// Bound of the relative distance of two θ after a few updates from the same one
/// (kernels/device/training.cpp).
constexpr double theta_rounding = 1e-9;
/// Bound of the distance of eigenvalues, relative to the largest magnitude, of θ within these roundings; that
/// of recorded runs (experiments/replay/recorded_runs.hpp).
constexpr double eigenvalue_rounding = 1e-7;

double norm(const Values& values, std::size_t begin, std::size_t count) {
    double squares = 0;
    for (std::size_t i = begin; i < begin + count; ++i) squares += values[i] * values[i];
    return std::sqrt(squares);
}

/// One network's results on both devices.
class Comparison {
  public:
    Comparison(const Hdf5File& cpu, const Hdf5File& cuda, std::string group)
        : cpu_(cpu),
          cuda_(cuda),
          group_(std::move(group)),
          parameters_(cpu.extents(dataset("theta")).back()) {}

    Index parameters() const { return parameters_; }

    void expect_equal(const std::vector<std::string>& names) const {
        for (const std::string& name : names)
            expect_same_bits(cpu_.read<double>(dataset(name)), cuda_.read<double>(dataset(name)),
                             dataset(name));
    }

    /// Expects numbers that are close to those of the CPU, relative to these.
    void expect_close(const std::string& name, double bound) const {
        const Values expected = cpu_.read<double>(dataset(name)), actual = cuda_.read<double>(dataset(name));
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            EXPECT_NEAR(actual[i], expected[i], bound * std::fabs(expected[i])) << dataset(name) << ' ' << i;
    }

    /// Expects θ of each record within theta_rounding, and the cost with it.
    void expect_close_theta() const {
        const auto p = static_cast<std::size_t>(parameters_);
        const Values expected = cpu_.read<double>(dataset("theta")),
                     actual = cuda_.read<double>(dataset("theta"));
        ASSERT_EQ(actual.size(), expected.size());
        Values difference = actual;
        for (std::size_t i = 0; i < difference.size(); ++i) difference[i] -= expected[i];
        for (std::size_t row = 0; row < expected.size(); row += p)
            EXPECT_LE(norm(difference, row, p), theta_rounding * norm(expected, row, p))
                << group_ << ' ' << row / p;
        expect_close("cost", theta_rounding);
    }

    /// Expects the eigenvalues of each record within `bound`[k] of those of the CPU.
    void expect_close_eigenvalues(const std::string& name, const Values& bound) const {
        const auto p = static_cast<std::size_t>(parameters_);
        const Values expected = cpu_.read<double>(dataset(name)), actual = cuda_.read<double>(dataset(name));
        ASSERT_EQ(expected.size(), bound.size() * p);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            ASSERT_NEAR(actual[i], expected[i], bound[i / p]) << dataset(name) << ' ' << i;
    }

    /// eigenvalue_rounding times the largest magnitude of each spectrum.
    Values relative_to_largest() const {
        const auto p = static_cast<std::size_t>(parameters_);
        const Values values = cpu_.read<double>(dataset("eigenvalues"));
        Values bound;
        for (std::size_t row = 0; row < values.size(); row += p)
            bound.push_back(eigenvalue_rounding * std::max(-values[row], values[row + p - 1]));
        return bound;
    }

    /// The rounding of two Hessians at the same θ and of two solvers (kernels/device/spectra.cpp).
    Values rounding_of_equal_theta() const {
        Values bound = cpu_.read<double>(dataset("frobenius"));
        for (double& value : bound) value *= 1e-13 + 2 * automatic_tolerance(parameters_);
        return bound;
    }

    /// Expects that both have complete records that keep their certificates.
    void expect_certificates() const {
        for (const Hdf5File* file : {&cpu_, &cuda_}) {
            for (const double error : file->read<double>(dataset("trace_error")))
                EXPECT_LE(error, certificate_limit(parameters_)) << group_;  // false for NaN
            for (const double residual : file->read<double>(dataset("symmetry_residual")))
                EXPECT_FALSE(residual > certificate_limit(parameters_)) << group_;
        }
    }

  private:
    std::string dataset(const std::string& name) const { return group_ + "/" + name; }

    const Hdf5File &cpu_, &cuda_;
    std::string group_;
    Index parameters_;
};

class DeviceRun : public Fault {
  protected:
    void SetUp() override {
        if (!cuda_problem().empty()) skip_without_device(cuda_problem());
    }

    /// Runs a recipe on a device, into the folder `name` or one with the name of the device.
    Words arguments(const std::string& recipe, const std::string& device, const Words& more,
                    const std::string& name = "") const {
        Words all = {"run",      recipe, "--output", (folder_ / (name.empty() ? device : name)).string(),
                     "--device", device, "--json"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    ProgramResult run(const Words& words, const Program::Setup& setup = {}) const {
        const ProgramResult result = Program(words, setup).wait(most_seconds);
        EXPECT_EQ(result.status, 0) << result.err;
        return result;
    }
    /// Runs a recipe on the device and on the CPU, and calls compare(Comparison) for each network.
    template <class Compare>
    void on_both(const std::string& recipe, const Words& more, Compare&& compare) const {
        for (const char* device : {"cuda", "cpu"}) run(arguments(recipe, device, more));
        const Hdf5File cpu = results("cpu"), cuda = results("cuda");
        const auto groups = cpu.groups("/");
        ASSERT_EQ(cuda.groups("/"), groups);
        ASSERT_FALSE(groups.empty());
        for (const std::string& group : groups) compare(Comparison(cpu, cuda, group));
    }
    Hdf5File results(const std::string& name) const { return Hdf5File::open(final_file(name)); }

    static constexpr std::chrono::seconds most_seconds{800};
};

// The recipe with fewer epochs: all of its parameters and examples, and spectra by cusolverDnXsyevd.
void expect_digits(const Comparison& network) {
    EXPECT_GT(network.parameters(), 1850);
    network.expect_close_theta();
    network.expect_close_eigenvalues("eigenvalues", network.relative_to_largest());
    network.expect_equal({"accuracy_train", "accuracy_test", "gamma_dead", "gamma_dead_inputs",
                          "gamma_dead_units", "solved_again"});
    network.expect_certificates();
}

TEST_F(DeviceRun, DigitsAsOnTheCpu) {
    on_both(ESPECTRA_SOURCE "/experiments/recipes/digits.toml",
            {"--set", "train.epochs=2", "--set", "spectrum.epochs=[2]", "--set",
             "sweep.network.activation=[\"esp\"]"},
            expect_digits);
}

// Networks with few inputs train to the same bits, in a block each and by operations.
TEST_F(DeviceRun, SmallNetworksToTheCpusBits) {
    const auto recipe = folder_.write("small.toml", R"(
data = { source = "nonlinear", test_fraction = 0.8 }
train = { epochs = 40, replicas = 3 }
spectrum.epochs = [0, 3, 40]
sweep."network.activation" = ["esp", "relu", "sigmoid"]
sweep."network.hidden" = [[10], [8, 2], [16]]
)");
    on_both(recipe, {}, [](const Comparison& network) {
        network.expect_equal({"theta", "cost", "gradient_norm", "accuracy_train", "accuracy_test",
                              "zero_residuals", "gamma_dead", "gamma_dead_inputs", "gamma_dead_units",
                              "solved_again"});
        network.expect_close_eigenvalues("eigenvalues", network.rounding_of_equal_theta());
        network.expect_certificates();
    });
}

/// Three kinds of networks: analysed in one step; in batches, with searches on the host; and with searches on
/// the device, as far as there is one core alone.
constexpr const char* sweep_recipe = R"(
data = { source = "nonlinear", test_fraction = 0.95 }
train = { epochs = 12, replicas = 2 }
spectrum = { epochs = [0, 6, 12], gauss_newton = true }
critical_points = { epochs = [12], iterations = 2 }
sweep."network.hidden" = [[5], [20], [50]]
)";

void use_one_core() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(::sched_getcpu(), &set);
    ::sched_setaffinity(0, sizeof set, &set);
}

class DeviceSweep : public DeviceRun {
  protected:
    Words words(const std::string& name, const std::string& device, const Words& more = {}) const {
        return arguments(recipe_, device, more, name);
    }

    /// Returns the number of records of snapshots in the partial file of a run.
    Index records(const std::string& name) const {
        if (!exists(partial_file(name))) return 0;
        const Hdf5File file = Hdf5File::open(partial_file(name));
        Index count = 0;
        for (const std::string& group : file.groups("/"))
            count += std::ranges::count_if(file.read<double>(group + "/alpha"),
                                           [](double alpha) { return !std::isnan(alpha); });
        return count;
    }

    /// Runs the sweep into a folder, killed after a share of the time of the whole run until it ends. Returns
    /// how often records had been written by then.
    int run_with_kills(const std::string& name, double seconds) const {
        int with_records = 0;
        double share = 0.5;
        for (int kills = 0; kills < 20 && !exists(final_file(name)); ++kills) {
            Program program(words(name, "cuda", {"--resume"}), use_one_core);
            std::this_thread::sleep_for(std::chrono::duration<double>(share * seconds));
            program.signal(SIGKILL);
            const ProgramResult result = program.wait();
            if (result.status == 0) break;
            EXPECT_EQ(result.status, 128 + SIGKILL) << result.err;
            with_records += records(name) > 0;
            if (records(name) == 0) share *= 1.5;
        }
        if (!exists(final_file(name))) run(words(name, "cuda", {"--resume"}), use_one_core);
        return with_records;
    }

    const std::string recipe_ = folder_.write("sweep.toml", sweep_recipe);
};

TEST_F(DeviceSweep, IsThatOfTheCpuAlsoWhenItWasKilled) {
    const ProgramResult whole = run(words("cuda", "cuda"), use_one_core);
    run(words("cpu", "cpu"));
    const Hdf5File cpu = results("cpu"), cuda = results("cuda");
    ASSERT_EQ(cuda.groups("/"), cpu.groups("/"));
    for (const std::string& group : cpu.groups("/")) {
        SCOPED_TRACE(group);
        const Comparison network(cpu, cuda, group);
        network.expect_close_theta();
        for (const char* name : {"eigenvalues", "eigenvalues_gauss_newton"})
            network.expect_close_eigenvalues(name, network.relative_to_largest());
        network.expect_certificates();
        network.expect_equal({"solved_again", "gamma_dead", "critical_points/outcome",
                              "critical_points/iterations", "critical_points/alpha"});
        for (const char* name :
             {"critical_points/cost", "critical_points/gradient_norm", "critical_points/distance"})
            network.expect_close(name, theta_rounding);
    }
    EXPECT_GT(run_with_kills("killed", whole.seconds), 0);
    expect_same_results(final_file("killed"), final_file("cuda"));
}

/// Tests of an option of the emulated device. Elsewhere they are skipped, or fail with ESPECTRA_PTX.
class EmulatedDeviceRun : public DeviceRun {
  protected:
    void SetUp() override {
        DeviceRun::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        if (cuda_devices().front().name.starts_with("emulated")) return;
        if (std::getenv("ESPECTRA_PTX")) FAIL() << "not the emulated device, and ESPECTRA_PTX is set";
        GTEST_SKIP() << "not the emulated device";
    }
};

// A solver of batches that makes mistakes: they are found, solved again and counted.
TEST_F(EmulatedDeviceRun, SpectraOfAWrongSolverAreSolvedAgain) {
    const std::string recipe = folder_.write("wrong.toml", R"(
data = { source = "nonlinear", test_fraction = 0.9 }
network.hidden = [14]
train = { epochs = 5, replicas = 3 }
spectrum.epochs = [0, 5]
)");
    const ProgramResult right = run(arguments(recipe, "cuda", {}, "right"));
    const ProgramResult wrong = run(arguments(recipe, "cuda", {}, "wrong"),
                                    [] { ::setenv("ESPECTRA_EMULATED_BATCHED_SOLVER", "wrong", 1); });
    EXPECT_EQ(right.json().at("networks")[0].at("solved_again"), 0);
    EXPECT_EQ(wrong.json().at("networks")[0].at("solved_again"), 2);
    const Hdf5File expected = results("right"), actual = results("wrong");
    const std::string group = expected.groups("/").at(0);
    EXPECT_EQ(actual.read<double>(group + "/solved_again"),
              (Values{0, 0, 1, 1, 0, 0}));  // of the second replica
    const Comparison network(expected, actual, group);
    network.expect_equal({"theta"});
    network.expect_close_eigenvalues("eigenvalues", network.rounding_of_equal_theta());
    network.expect_certificates();
}

}  // namespace
}  // namespace espectra
