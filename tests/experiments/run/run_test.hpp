#pragma once

#include "espectra/experiments/run/pipeline.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <filesystem>
#include <fstream>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace espectra::test {

/// Runs of a recipe within this process, each in a folder of its own.
class RunTest : public ::testing::Test {
  protected:
    explicit RunTest(const char* recipe) {
        std::ofstream(folder_ / "r.toml") << recipe;
        load({});
    }

    void load(const std::vector<std::string>& overrides) {
        experiment_ = load_experiment(folder_ / "r.toml", overrides);
        networks_ = plan_networks(experiment_);
    }
    std::filesystem::path output(const std::string& name) {
        std::filesystem::create_directories(folder_ / name);
        return folder_ / name;
    }
    ResultsFile create(const std::string& name) {
        return ResultsFile::create(output(name), experiment_, networks_, "test", "test");
    }
    ResultsFile resume(const std::string& name) {
        return ResultsFile::resume(output(name), experiment_, networks_);
    }

    RunOutcome run(ResultsFile results, const WorkPlan& work, std::stop_token stop = {},
                   const Pipeline<CpuContext>::Report& report = nullptr) {
        const RunPlan plan(networks_, work);
        const MissingWork missing(networks_, results);
        Pipeline<CpuContext> pipeline(plan, missing, std::move(results), [] { return CpuContext(1); });
        return pipeline.run(stop, report);
    }
    RunOutcome run(const std::string& name, const WorkPlan& work) { return run(create(name), work); }

    /// The order of a device: one batch trains while another one is analysed.
    WorkPlan batches_of(Index replicas) const {
        return {.workers = 2,
                .trainings = 1,
                .analyses = 1,
                .replicas_per_batch = std::vector<Index>(networks_.size(), replicas)};
    }

    TemporaryFolder folder_;
    Experiment experiment_;
    std::vector<PlannedNetwork> networks_;
};

/// Three small networks of three replicas each.
inline constexpr const char* small_sweep = R"(
data.source = "linear"
network.hidden = [4]
train = { epochs = 60, replicas = 3 }
spectrum.schedule = { dense_until = 30, dense_step = 5, step = 10 }
sweep."network.activation" = ["esp", "relu", "sigmoid"]
)";

}  // namespace espectra::test
