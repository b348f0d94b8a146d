#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/program_run.hpp"
#include <filesystem>
#include <string>
#include <vector>

namespace espectra::test {

using Words = std::vector<std::string>;

inline constexpr const char* tiny_recipe =
    "[data]\nsource = \"linear\"\n[network]\nhidden = [3]\n[train]\nepochs = 20\n";

/// About a second of work in 200 spectra of 302 parameters.
inline constexpr const char* long_recipe = R"([data]
source = "nonlinear"
[network]
hidden = [60]
[train]
epochs = 500
replicas = 2
[spectrum]
schedule = { dense_until = 500, dense_step = 5, step = 5 }
)";
inline constexpr const char* long_group = "nonlinear_2-60-1_esp";

/// Runs of recipes in folders of their own.
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
    /// The results file of a run, final or partial.
    std::filesystem::path any_file(const std::string& name) const {
        return exists(partial_file(name)) ? partial_file(name) : final_file(name);
    }
    void SetUp() override {
        folder_.write("tiny.toml", tiny_recipe);
        folder_.write("long.toml", long_recipe);
    }

    TemporaryFolder folder_;
};

/// Makes standard output and error a pipe that nobody reads.
inline void break_output_pipe() {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(126);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace espectra::test
