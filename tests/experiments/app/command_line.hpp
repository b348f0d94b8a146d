#pragma once

#include "espectra/runtime/view.hpp"

#include <gtest/gtest.h>

#include "support/program_run.hpp"
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace espectra::test {

using Words = std::vector<std::string>;
using Json = nlohmann::json;

/// Two replicas of a 2-3-1 network with four snapshots.
inline constexpr const char* tiny_recipe = R"(title = "tiny"
[data]
source = "nonlinear"
[network]
hidden = [3]
[train]
epochs = 60
replicas = 2
[spectrum]
schedule = { dense_until = 20, dense_step = 10, step = 20 }
)";
inline constexpr const char* tiny_group = "nonlinear_2-3-1_esp";
inline constexpr Index parameters = 17, replicas = 2, snapshots = 4;

/// The espectra command, run on the tiny recipe.
class CommandLine : public ::testing::Test {
  protected:
    /// Runs the tiny recipe into the folder `name`.
    ProgramResult run(const std::string& name, const Words& more = {}, const Program::Setup& setup = {}) {
        Words words = {"run", recipe_.string(), "--output", output(name).string()};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words, setup);
    }
    std::filesystem::path output(const std::string& name) const { return folder_ / name; }
    std::string results(const std::string& name) const { return (folder_ / name / "results.h5").string(); }

    TemporaryFolder folder_;
    std::filesystem::path recipe_ = folder_.write("tiny.toml", tiny_recipe);
};

inline std::set<std::string> keys_of(const Json& json) {
    std::set<std::string> keys;
    for (const auto& [key, value] : json.items()) keys.insert(key);
    return keys;
}

inline void expect_keys(const Json& json, const Words& keys) {
    for (const std::string& key : keys) EXPECT_TRUE(json.contains(key)) << key;
}

}  // namespace espectra::test
