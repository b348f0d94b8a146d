// `espectra benchmark [SUITE] [--device auto|cpu|cuda] [--json] [--small]`: suites are the first part of the
// benchmarks' names (kernels, hessian, training, eigen). --small tries the suite kernels in sizes whose times
// mean nothing. Options of Google Benchmark (--benchmark_…) are passed on to it.

#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/runtime/error.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

using namespace espectra;

constexpr std::array<std::string_view, 4> suites = {"kernels", "hessian", "training", "eigen"};

int run(int argc, char** argv) {
    std::vector<std::string> passed = {argv[0]};
    std::string suite, device = "auto";
    bool json = false, small = false, filtered = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--json") {
            json = true;
        } else if (argument == "--small") {
            small = true;
        } else if (argument == "--help") {
            fmt::print(
                "espectra benchmark [kernels|hessian|training|eigen] [--device auto|cpu|cuda] [--json] "
                "[--small] [--benchmark_...]\n"
                "espectra benchmark lab [TEXT]\n"
                "espectra benchmark compare FIRST.h5 SECOND.h5\n"
                "espectra benchmark recorded hessian|spectra|training RUN.h5 OUTPUT.h5 THREADS [EPOCHS] "
                "[--device cpu|cuda]\n");
            return 0;
        } else if (argument == "--device") {
            if (++i == argc) throw InputError("--device: expected auto, cpu or cuda");
            device = argv[i];
        } else if (argument.starts_with("--benchmark_")) {
            passed.push_back(argument);
            filtered = filtered || argument.starts_with("--benchmark_filter");
        } else if (suite.empty() && std::ranges::find(suites, argument) != suites.end()) {
            suite = argument;
        } else {
            throw InputError(
                fmt::format("benchmark: \"{}\": expected kernels, hessian, training or eigen", argument));
        }
    }
    const Device chosen = choose_device(device);
    if (!suite.empty() && !filtered) passed.push_back("--benchmark_filter=^" + suite + "/");
    if (json) passed.push_back("--benchmark_format=json");
    std::vector<char*> arguments;
    for (std::string& argument : passed) arguments.push_back(argument.data());
    int count = static_cast<int>(arguments.size());
    benchmark::AddCustomContext("espectra", version_text());
    benchmark::AddCustomContext("device",
                                std::visit([](const auto& on) { return on.description(); }, chosen));
    benchmark::Initialize(&count, arguments.data());
    std::visit(
        [small](const auto& on) {
            auto context = on.context(on.threads);
            register_suites(context, small);
            const std::size_t matched = benchmark::RunSpecifiedBenchmarks();
            benchmark::ClearRegisteredBenchmarks();
            if (matched == 0) throw InputError("benchmark: nothing matches");
            if (failed_benchmarks() > 0)
                throw ResourceError(fmt::format("benchmark: {} of {} failed", failed_benchmarks(), matched));
        },
        chosen);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc > 1 && argv[1] == std::string_view("recorded"))
            return recorded_work(std::vector<std::string>(argv + 2, argv + argc));
        if (argc > 1 && argv[1] == std::string_view("compare"))
            return compare_runs(std::vector<std::string>(argv + 2, argv + argc));
        if (argc > 1 && argv[1] == std::string_view("lab"))
            return run_lab(std::vector<std::string>(argv + 2, argv + argc));
        return run(argc, argv);
    } catch (const Error& error) {
        fmt::print(stderr, "espectra: {}\n", error.what());
        return error.exit_status();
    }
}
