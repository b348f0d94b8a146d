// `espectra hessian` and `espectra replay`.

#include "espectra/experiments/files/hdf5_file.hpp"

#include <gtest/gtest.h>

#include "experiments/app/command_line.hpp"
#include "support/results_content.hpp"
#include <algorithm>
#include <set>

namespace espectra {
namespace {

using namespace ::espectra::test;

const Words hessian_keys = {"parameters",
                            "alpha",
                            "gamma",
                            "gamma_dead",
                            "gamma_dead_inputs",
                            "gamma_dead_units",
                            "gamma_symmetry",
                            "gamma_numerical",
                            "tau",
                            "lambda_min",
                            "lambda_max",
                            "trace",
                            "frobenius",
                            "symmetry_residual",
                            "seconds_hessian",
                            "seconds_eigen",
                            "device"};

TEST_F(CommandLine, HessianWithoutHiddenLayer) {
    // Logistic regression: the Hessian (1/m) Σ σ(z) (1 − σ(z)) x̃ x̃ᵀ, x̃ = (x₁, x₂, 1), is positive definite.
    for (const char* activation : {"", "tanh"}) {
        RecordedSample sample;
        sample.widths = {2, 1};
        sample.activation = activation;
        sample.parameters = 3;
        sample.snapshots = 1;  // θ = (−0.25, −0.14, −0.03)
        const std::string path = folder_ / (std::string("logistic") + activation + ".h5");
        sample.write(path);
        const ProgramResult result = run_program({"hessian", path, "--json"});
        ASSERT_EQ(result.status, 0) << result.err;
        double trace = 0;
        for (std::size_t e = 0; e < 5; ++e) {
            const double x = sample.features[2 * e], y = sample.features[2 * e + 1];
            const double p = 1 / (1 + std::exp(0.25 * x + 0.14 * y + 0.03));
            trace += p * (1 - p) * (x * x + y * y + 1) / 5;
        }
        const Json json = result.json();
        EXPECT_EQ(json.at("parameters"), 3);
        EXPECT_EQ(json.at("alpha"), 0);
        EXPECT_GT(json.at("lambda_min"), 0);
        EXPECT_NEAR(json.at("trace"), trace, 1e-15);
        EXPECT_TRUE(json.at("symmetry_residual").is_null());
    }
}

TEST_F(CommandLine, HessianOfARecordedRun) {
    for (const std::string activation : {"esp", "relu", "sigmoid"}) {
        const std::string path = folder_ / (activation + ".h5"), output = folder_ / (activation + "-out.h5");
        RecordedSample sample;
        sample.activation = activation;
        sample.write(path);
        const ProgramResult result =
            run_program({"hessian", path, "--snapshot", "1", "--output", output, "--eigenvectors", "--json"});
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(result.err, "");
        const Json json = result.json();
        EXPECT_EQ(keys_of(json), std::set<std::string>(hessian_keys.begin(), hessian_keys.end()));
        EXPECT_EQ(json.at("parameters"), 13);
        // ReLU has a scaling symmetry; sigmoid and esp of fixed β have none.
        EXPECT_EQ(json.at("symmetry_residual").is_null(), activation != "relu");

        const Hdf5File file = Hdf5File::open(output);
        const auto h = file.read<double>("hessian", {13, 13}),
                   lambda = file.read<double>("eigenvalues", {13}),
                   v = file.read<double>("eigenvectors", {13, 13});
        EXPECT_EQ(file.attribute<std::int64_t>("/", "snapshot").at(0), 1);
        EXPECT_TRUE(std::is_sorted(lambda.begin(), lambda.end()));
        EXPECT_EQ(json.at("lambda_min"), lambda.front());
        EXPECT_EQ(json.at("lambda_max"), lambda.back());
        double trace = 0;
        for (std::size_t i = 0; i < 13; ++i) {
            trace += h[i * 13 + i];
            for (std::size_t j = 0; j < 13; ++j) {
                EXPECT_EQ(h[i * 13 + j], h[j * 13 + i]);
                double product = 0, image = 0;
                for (std::size_t k = 0; k < 13; ++k) {
                    product += v[i * 13 + k] * v[j * 13 + k];
                    image += h[j * 13 + k] * v[i * 13 + k];
                }
                EXPECT_NEAR(product, i == j ? 1 : 0, 1e-13);
                EXPECT_NEAR(image, lambda[i] * v[i * 13 + j], 1e-14);
            }
        }
        EXPECT_NEAR(json.at("trace").get<double>(), trace, 1e-14);
    }
}

TEST_F(CommandLine, HessianWritesNoEigenvectorsByDefault) {
    const std::string path = folder_ / "run.h5", output = folder_ / "out.h5";
    RecordedSample().write(path);
    const ProgramResult result = run_program({"hessian", path, "--output", output});
    EXPECT_EQ(result.status, 0) << result.err;
    for (const std::string& key : hessian_keys) EXPECT_CONTAINS(result.out, key);
    EXPECT_FALSE(Hdf5File::open(output).exists("eigenvectors"));
    EXPECT_EQ(Hdf5File::open(output).attribute<std::int64_t>("/", "snapshot").at(0), 1);  // the last
    expect_failure(run_program({"hessian", path, "--output", output}), 2, {output, "exists"});
    for (const std::string snapshot : {"2", "-2", "99999999999"})
        expect_failure(run_program({"hessian", path, "--snapshot", snapshot}), 2,
                       {path, "--snapshot " + snapshot, "expected 0 to 1"});
    expect_failure(run_program({"hessian", path, "--snapshot", "one"}), 2, {"one"});
}

TEST_F(CommandLine, LargeHessianPrintsEstimatedTimes) {
    ASSERT_EQ(run("out", {"--set", "network.hidden=[64, 64]", "--set", "train.epochs=0", "--set",
                          "train.replicas=1"})
                  .status,
              0);
    const ProgramResult result = run_program({"hessian", results("out")});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_CONTAINS(result.err, "P = 4546, 690 examples: a matrix of 0.17 GB, about ");
    EXPECT_CONTAINS(result.err, "; its eigenvalues take about ");
}

TEST_F(CommandLine, HessianOfResultsChoosesTheNetwork) {
    ASSERT_EQ(run("out", {"--set", "sweep.network.activation=[\"esp\",\"relu\"]"}).status, 0);
    const std::string path = results("out");
    expect_failure(run_program({"hessian", path}), 2,
                   {path, "--network", "--replica", "nonlinear_2-3-1_esp[0]", "nonlinear_2-3-1_relu[1]"});
    expect_failure(run_program({"hessian", path, "--network", "other"}), 2, {path, "nonlinear_2-3-1_esp[0]"});
    const ProgramResult result = run_program({"hessian", path, "--network", "nonlinear_2-3-1_relu",
                                              "--replica", "1", "--snapshot", "2", "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const auto lambda = Hdf5File::open(path).read<double>("nonlinear_2-3-1_relu/eigenvalues", {2, 4, 13});
    EXPECT_EQ(result.json().at("lambda_max"), lambda[7 * 13 - 1]);
}

TEST_F(CommandLine, ReplayOfOwnResults) {
    ASSERT_EQ(run("out", {"--set", "sweep.network.activation=[\"esp\",\"relu\",\"sigmoid\"]"}).status, 0);
    const ProgramResult result = run_program({"replay", results("out"), "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    const Json json = result.json();
    EXPECT_EQ(keys_of(json), (std::set<std::string>{
                                 "hessian_relative_error_max", "residual_error_max", "eigenvalue_error_max",
                                 "gamma_dead_mismatches", "negative_count_mismatches", "theta_error_median",
                                 "theta_error_max", "cost_error_max", "symmetry_residual_max",
                                 "trace_error_max", "snapshots", "parameters", "seconds_training",
                                 "seconds_hessian", "seconds_eigen", "device"}));
    EXPECT_EQ(json.at("theta_error_max"), 0.0);
    EXPECT_EQ(json.at("theta_error_median"), 0.0);
    EXPECT_EQ(json.at("cost_error_max"), 0.0);
    EXPECT_LE(json.at("eigenvalue_error_max").get<double>(), 1e-12);
    EXPECT_EQ(json.at("gamma_dead_mismatches"), 0);
    EXPECT_EQ(json.at("negative_count_mismatches"), 0);
    EXPECT_LE(json.at("symmetry_residual_max").get<double>(), 1e-12);
    EXPECT_EQ(json.at("snapshots"), 3 * replicas * snapshots);
    EXPECT_EQ(json.at("parameters"), parameters);
    EXPECT_TRUE(json.at("residual_error_max").is_null());
    EXPECT_EQ(run_program({"replay", results("out")}).status, 0);
}

TEST_F(CommandLine, ReplayWithoutTrainingData) {
    RecordedSample().write(folder_ / "run.h5");
    const ProgramResult result = run_program({"replay", (folder_ / "run.h5").string(), "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Json json = result.json();
    EXPECT_TRUE(json.at("theta_error_max").is_null());
    EXPECT_TRUE(json.at("eigenvalue_error_max").is_null());
    EXPECT_EQ(json.at("snapshots"), 2);
}

}  // namespace
}  // namespace espectra
