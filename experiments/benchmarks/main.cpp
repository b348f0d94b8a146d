// `espectra benchmark [SUITE] [--device auto|cpu] [--json]`: suites are the first part of the benchmarks'
// names (hessian, training, eigen). Google Benchmark's own options (--benchmark_…) are passed on.

#include "espectra/experiments/device.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    using namespace espectra;
    try {
        std::vector<std::string> passed = {argv[0]};
        std::string suite;
        bool json = false;
        for (int i = 1; i < argc; ++i) {
            const std::string argument = argv[i];
            if (argument == "--json") {
                json = true;
            } else if (argument == "--help") {
                fmt::print(
                    "espectra benchmark [hessian|training|eigen] [--device auto|cpu] [--json] "
                    "[--benchmark_...]\n");
                return 0;
            } else if (argument == "--device") {
                if (++i == argc) throw InputError("--device: expected auto, cpu or cuda");
                require_cpu_device(argv[i]);
            } else if (argument.starts_with("--benchmark_")) {
                passed.push_back(argument);
            } else if (suite.empty() &&
                       (argument == "hessian" || argument == "training" || argument == "eigen")) {
                suite = argument;
            } else {
                throw InputError(
                    fmt::format("benchmark: \"{}\": expected hessian, training or eigen", argument));
            }
        }
        if (!suite.empty()) passed.push_back("--benchmark_filter=^" + suite + "/");
        if (json) passed.push_back("--benchmark_format=json");
        std::vector<char*> arguments;
        for (std::string& argument : passed) arguments.push_back(argument.data());
        int count = static_cast<int>(arguments.size());
        benchmark::AddCustomContext("espectra", version_text());
        benchmark::AddCustomContext("device", cpu_description(available_cores()));
        benchmark::Initialize(&count, arguments.data());
        if (benchmark::RunSpecifiedBenchmarks() == 0) throw InputError("benchmark: nothing matches");
        return 0;
    } catch (const Error& error) {
        fmt::print(stderr, "espectra: {}\n", error.what());
        return error.exit_status();
    }
}
