#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/app/quantity_text.hpp"
#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

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

/// Messages about a large matrix on stderr: an estimate before it starts, and progress while examples are
/// added.
class LongHessian {
  public:
    template <class B>
    LongHessian(B& context, const Network& network, Examples<B::space> examples, bool quiet)
        : examples_(examples.count()), line_(quiet) {
        constexpr Index large = 4000;  // parameters: smaller matrices take seconds
        if (network.parameters() < large || quiet) return;
        if constexpr (requires { hessian_seconds(context, network, examples); })
            estimate_ = hessian_seconds(context, network, examples);
        const std::string time =
            estimate_ ? fmt::format(", about {} (the Hessian {}, its eigenvalues {})",
                                    duration_text(estimate_->assembly + estimate_->eigenvalues),
                                    duration_text(estimate_->assembly), duration_text(estimate_->eigenvalues))
                      : "";
        const auto p = static_cast<double>(network.parameters());
        print(fmt::format("P = {}, {} examples: a matrix of {:.2g} GB{}", network.parameters(), examples_,
                          8e-9 * p * p, time));
        timer_.restart();
    }

    /// To be called by SpectrumAnalyzer::on_chunk.
    void added(Index done) {
        const double fraction = static_cast<double>(done) / static_cast<double>(examples_);
        const double elapsed = timer_.seconds();
        if (done < examples_)
            return line_.show(fraction, elapsed / fraction - elapsed,
                              fmt::format("Hessian: {} of {} examples;", done, examples_));
        line_.finish();
        if (estimate_)
            print(fmt::format("Hessian: {}; its eigenvalues take about {}", duration_text(elapsed),
                              duration_text(estimate_->eigenvalues)));
    }

  private:
    static void print(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

    Index examples_;
    ProgressLine line_;
    Timer timer_;
    std::optional<HessianSeconds> estimate_;
};

template <class D>
int hessian_on(const D& device, const HessianOptions& options) {
    using B = typename D::Context;
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
    B context = device.context(device.threads);
    const Index p = run.network.parameters(), m = run.data.train_examples;
    const auto square = static_cast<std::size_t>(p) * static_cast<std::size_t>(p) * sizeof(double);
    require_memory(device, p, SpectrumAnalyzer<B>::bytes(context, run.network, m, 1, spectrum_options),
                   (options.output.empty() ? 0 : square) + (options.eigenvectors ? square : 0));

    const std::vector<double> recorded = run.theta(snapshot);
    const ResidentData<B> data(context, run.data);
    Buffer<double, B::space> theta(context, p);
    copy(context, recorded.data(), theta.data(), p);
    Evaluator<B> evaluator(context, run.network, data.train(), 1);
    evaluator.evaluate(theta.view(1, p));
    SpectrumAnalyzer<B> analyzer(context, run.network, data.train(), 1, spectrum_options);
    std::vector<double> hessian;
    if (!options.output.empty())
        analyzer.on_hessian(
            [&](View<const double, 3, B::space> matrix) { hessian = fetch(context, matrix.data, p * p); });
    LongHessian progress(context, run.network, data.train(), options.json);
    analyzer.on_chunk([&](Index done) { progress.added(done); });
    const Spectrum spectrum = analyzer.analyze(theta.view(1, p), evaluator.gradient()).front();
    if (!options.output.empty()) write_file(options.output, run, snapshot, recorded, hessian, spectrum);

    const nlohmann::ordered_json json = {{"parameters", p},
                                         {"alpha", spectrum.alpha},
                                         {"gamma", spectrum.gamma},
                                         {"gamma_dead", spectrum.gamma_dead},
                                         {"gamma_dead_inputs", spectrum.gamma_dead_inputs},
                                         {"gamma_dead_units", spectrum.gamma_dead_units},
                                         {"gamma_symmetry", spectrum.gamma_symmetry},
                                         {"gamma_numerical", spectrum.gamma_numerical},
                                         {"tau", spectrum.tolerance},
                                         {"lambda_min", spectrum.eigenvalues.front()},
                                         {"lambda_max", spectrum.eigenvalues.back()},
                                         {"trace", spectrum.trace},
                                         {"frobenius", spectrum.frobenius},
                                         {"symmetry_residual", number_or_null(spectrum.symmetry_residual)},
                                         {"seconds_hessian", spectrum.seconds_hessian},
                                         {"seconds_eigen", spectrum.seconds_eigen},
                                         {"device", device.description()}};
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

}  // namespace

int hessian_command(const HessianOptions& options, const Device& device) {
    return std::visit([&](const auto& chosen) { return hessian_on(chosen, options); }, device);
}

}  // namespace espectra
