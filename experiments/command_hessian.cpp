#include "espectra/experiments/certificates.hpp"
#include "espectra/experiments/commands.hpp"
#include "espectra/experiments/device.hpp"
#include "espectra/experiments/hdf5_file.hpp"
#include "espectra/experiments/json_text.hpp"
#include "espectra/experiments/pipeline.hpp"
#include "espectra/experiments/recorded_run.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

namespace espectra {

namespace {

const RecordedRun& choose(const std::vector<RecordedRun>& runs, const HessianOptions& options) {
    const std::string file = options.run.string();
    if (runs.size() == 1 && options.network.empty() && options.replica == 0) return runs.front();
    const std::string wanted = fmt::format("{}:{}[{}]", file, options.network, options.replica);
    std::vector<std::string> labels;
    for (const RecordedRun& run : runs) {
        if (run.label == wanted) return run;
        labels.push_back(run.label.substr(std::min(run.label.size(), file.size() + 1)));
    }
    constexpr std::size_t most = 12;
    if (labels.size() > most) {
        labels.resize(most);
        labels.push_back("...");
    }
    throw InputError(
        fmt::format("{}: choose one with --network and --replica: {}", file, fmt::join(labels, ", ")));
}

void write_file(const std::filesystem::path& path, const RecordedRun& run, Index snapshot,
                const std::vector<double>& theta, const std::vector<double>& hessian,
                const Spectrum& spectrum) {
    const auto partial = std::filesystem::path(path.string() + ".partial");
    std::error_code error;
    std::filesystem::remove(partial, error);
    const Index p = run.network.parameters();
    try {
        Hdf5File file = Hdf5File::create(partial);
        file.set_attribute("/", "source", run.label);
        file.set_attribute("/", "snapshot", static_cast<std::int64_t>(snapshot));
        file.set_attribute("/", "epoch", run.epoch[static_cast<std::size_t>(snapshot)]);
        file.set_attribute("/", "versions", version_text());
        file.write("theta", {p}, theta);
        file.write("hessian", {p, p}, hessian);
        file.write("eigenvalues", {p}, spectrum.eigenvalues);
        if (!spectrum.eigenvectors.empty()) {
            file.write("eigenvectors", {p, p}, spectrum.eigenvectors);
            file.write("inverse_participation_ratio", {p}, spectrum.participation);
        }
        file.close();
        std::filesystem::rename(partial, path);
    } catch (...) {
        std::filesystem::remove(partial, error);
        throw;
    }
}

}  // namespace

int hessian_command(const HessianOptions& options) {
    require_cpu_device(options.device);
    if (!options.output.empty() && std::filesystem::exists(options.output))
        throw InputError(fmt::format("--output {}: the file exists", options.output.string()));
    const std::vector<RecordedRun> runs = open_recorded_runs(options.run);
    const RecordedRun& run = choose(runs, options);
    const Index snapshot = options.snapshot < 0 ? run.snapshots() - 1 : options.snapshot;
    if (run.snapshots() == 0) throw InputError(fmt::format("{}: no snapshot", run.label));
    if (snapshot >= run.snapshots() || options.snapshot < -1)
        throw InputError(fmt::format("{}: --snapshot {}: expected 0 to {}", run.label, options.snapshot,
                                     run.snapshots() - 1));

    SpectrumOptions spectrum_options;
    spectrum_options.eigenvectors = options.eigenvectors;
    const int cores = available_cores();
    CpuContext context(cores);
    const Index p = run.network.parameters();
    const auto square = static_cast<std::size_t>(p) * static_cast<std::size_t>(p) * sizeof(double);
    const std::size_t needed = SpectrumAnalyzer<CpuContext>::bytes(
                                   context, run.network, run.data.train_examples, 1, spectrum_options) +
                               (options.output.empty() ? 0 : square) + (options.eigenvectors ? square : 0);
    if (const std::size_t available = available_memory(); needed > available)
        throw ResourceError(
            fmt::format("memory: the exact Hessian of {} parameters needs {:.3f} GB, {:.3f} GB available", p,
                        static_cast<double>(needed) / 1e9, static_cast<double>(available) / 1e9));

    const std::vector<double> theta = run.theta(snapshot);
    const ResidentData<CpuContext> data(context, run.data);
    Evaluator<CpuContext> evaluator(context, run.network, data.train(), 1);
    const auto view = make_view(theta.data(), 1, p);
    evaluator.evaluate(view);
    SpectrumAnalyzer<CpuContext> analyzer(context, run.network, data.train(), 1, spectrum_options);
    std::vector<double> hessian;
    if (!options.output.empty()) {
        const auto matrix = analyzer.hessian(view);
        hessian.assign(matrix.data, matrix.data + matrix.size());
    }
    const Spectrum spectrum = analyzer.analyze(view, evaluator.gradient()).front();
    if (!options.output.empty()) write_file(options.output, run, snapshot, theta, hessian, spectrum);

    const nlohmann::ordered_json json = {{"parameters", p},
                                         {"alpha", spectrum.alpha},
                                         {"gamma", spectrum.gamma},
                                         {"gamma_dead", spectrum.gamma_dead},
                                         {"tau", spectrum.tolerance},
                                         {"lambda_min", spectrum.eigenvalues.front()},
                                         {"lambda_max", spectrum.eigenvalues.back()},
                                         {"trace", spectrum.trace},
                                         {"frobenius", spectrum.frobenius},
                                         {"symmetry_residual", number_or_null(spectrum.symmetry_residual)},
                                         {"seconds_hessian", spectrum.seconds_hessian},
                                         {"seconds_eigen", spectrum.seconds_eigen},
                                         {"device", cpu_description(cores)}};
    if (options.json) {
        fmt::print("{}\n", json_text(json));
    } else {
        fmt::print("{}, snapshot {} (epoch {})\n", run.label, snapshot,
                   run.epoch[static_cast<std::size_t>(snapshot)]);
        fmt::print("{}", entries_text(json, 18, 6));
        if (!options.output.empty()) fmt::print("written: {}\n", options.output.string());
    }
    std::fflush(stdout);
    check_certificates(run.label, {.parameters = p,
                                   .trace_error = spectrum.trace_error,
                                   .symmetry_residual = spectrum.symmetry_residual,
                                   .symmetric = is_symmetric(run.network)});
    return 0;
}

}  // namespace espectra
