#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/hessian_file.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/app/quantity_text.hpp"
#include "espectra/experiments/app/recorded_spectra.hpp"
#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace espectra {

namespace {

const RecordedRun& choose(const std::vector<RecordedRun>& runs, const HessianOptions& options) {
    const std::string file = options.run.string();
    if (!runs.front().of_results() && (!options.network.empty() || options.replica != 0))
        throw InputError(fmt::format(
            "{}: is a recorded run, which has no networks or replicas: leave out --network and --replica",
            file));
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

/// Returns the number of the snapshot that the options choose.
Index chosen_snapshot(const RecordedRun& run, const std::string& text) {
    if (text.empty()) return run.snapshots() - 1;
    Index snapshot = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), snapshot);
    if (error != std::errc() || end != text.data() + text.size() || snapshot < 0 ||
        snapshot >= run.snapshots())
        throw InputError(
            fmt::format("{}: --snapshot {}: expected 0 to {}, or all", run.label, text, run.snapshots() - 1));
    return snapshot;
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

/// Computes the Hessian of a snapshot with what the options ask for.
template <class D>
SnapshotHessian compute(const D& device, const RecordedRun& run, Index snapshot,
                        const HessianOptions& options) {
    using B = typename D::Context;
    const SpectrumOptions spectrum_options = {.eigenvectors = options.eigenvectors,
                                              .gauss_newton = options.gauss_newton};
    const bool file = !options.output.empty(), matrix = file || options.blocks;
    B context = device.context(device.threads);
    const Index p = run.network.parameters(), m = run.data.train_examples;
    const auto square = static_cast<std::size_t>(p) * static_cast<std::size_t>(p) * sizeof(double);
    // A block has a copy on the host and one on the device.
    const std::size_t host_matrices = (matrix ? 1 : 0) + (file && options.gauss_newton ? 1 : 0) +
                                      (options.eigenvectors ? 1 : 0) + (options.blocks ? 1 : 0);
    require_memory(device, p,
                   SpectrumAnalyzer<B>::bytes(context, run.network, m, 1, spectrum_options) +
                       (options.blocks ? square : 0),
                   host_matrices * square);

    SnapshotHessian result;
    result.snapshot = snapshot;
    result.theta = run.theta(snapshot);
    const ResidentData<B> data(context, run.data);
    Buffer<double, B::space> memory(context, p);
    copy(context, result.theta.data(), memory.data(), p);
    const auto theta = memory.view(1, p);
    Evaluator<B> evaluator(context, run.network, data.train(), 1);
    evaluator.evaluate(theta);
    result.gradient = fetch(context, evaluator.gradient().data, p);
    SpectrumAnalyzer<B> analyzer(context, run.network, data.train(), 1, spectrum_options);
    if (matrix)
        analyzer.on_hessian([&](View<const double, 3, B::space> hessian) {
            result.hessian = fetch(context, hessian.data, p * p);
        });
    LongHessian progress(context, run.network, data.train(), options.json);
    analyzer.on_chunk([&](Index done) { progress.added(done); });
    result.spectrum = analyzer.analyze(theta, evaluator.gradient()).front();
    analyzer.on_chunk({});
    if (file && options.gauss_newton)
        result.gauss_newton = fetch(context, analyzer.hessian(theta, HessianPart::gauss_newton).data, p * p);
    if (options.blocks)
        for (const ParameterBlock& block : parameter_blocks(run.network))
            result.blocks.emplace_back(block.name, block_spectrum(context, result.hessian, p, block));
    return result;
}

nlohmann::ordered_json spectrum_json(const Spectrum& spectrum, const std::string& device) {
    return {{"parameters", spectrum.eigenvalues.size()},
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
            {"device", device}};
}

nlohmann::ordered_json block_json(const BlockSpectrum& block) {
    const Index size = std::ssize(block.eigenvalues);
    const SpectralIndices indices = spectral_indices(block.eigenvalues, automatic_tolerance(size));
    return {{"parameters", size},
            {"alpha", indices.alpha},
            {"gamma", indices.gamma},
            {"lambda_min", block.eigenvalues.front()},
            {"lambda_max", block.eigenvalues.back()}};
}

void print(const RecordedRun& run, const HessianOptions& options, const SnapshotHessian& result,
           const std::string& device) {
    nlohmann::ordered_json json = spectrum_json(result.spectrum, device);
    if (options.json) {
        for (const auto& [name, block] : result.blocks) json["blocks"][name] = block_json(block);
        fmt::print("{}\n", json_text(json));
    } else {
        fmt::print("{}, snapshot {} (epoch {})\n", run.label, result.snapshot,
                   run.epoch[static_cast<std::size_t>(result.snapshot)]);
        fmt::print("{}", entries_text(json, 18, 6));
        for (const auto& [name, block] : result.blocks)
            fmt::print("{}:\n{}", name, entries_text(block_json(block), 18, 6));
        if (!options.output.empty()) fmt::print("written: {}\n", options.output.string());
    }
    std::fflush(stdout);
}

void check_all_certificates(const RecordedRun& run, const SnapshotHessian& result) {
    check_certificates(run.label, {.parameters = run.network.parameters(),
                                   .trace_error = result.spectrum.trace_error,
                                   .symmetry_residual = result.spectrum.symmetry_residual,
                                   .symmetric = is_symmetric(run.network)});
    for (const auto& [name, block] : result.blocks)
        check_certificates(fmt::format("{}: {}", run.label, name),
                           {.parameters = std::ssize(block.eigenvalues), .trace_error = block.trace_error});
}

}  // namespace

int hessian_command(const HessianOptions& options, const Device& device) {
    if (!options.output.empty() && std::filesystem::exists(options.output))
        throw InputError(fmt::format("--output {}: exists already", options.output.string()));
    const std::vector<RecordedRun> runs = open_recorded_runs(options.run);
    const RecordedRun& run = choose(runs, options);
    if (run.snapshots() == 0) throw InputError(fmt::format("{}: no snapshot", run.label));
    if (options.snapshot == "all") return write_recorded_spectra(run, options, device);

    const Index snapshot = chosen_snapshot(run, options.snapshot);
    const SnapshotHessian result =
        std::visit([&](const auto& chosen) { return compute(chosen, run, snapshot, options); }, device);
    if (!options.output.empty()) write_hessian_file(options.output, run, result);
    print(run, options, result, std::visit([](const auto& chosen) { return chosen.description(); }, device));
    check_all_certificates(run, result);
    return 0;
}

}  // namespace espectra
