// Repeated work on request on the networks of a recorded run, one per snapshot: Espectra's side of the
// comparison with other programs (experiments/benchmarks/peers), which start from the same file.
//
//     espectra-benchmark recorded WORK RUN.h5 OUTPUT.h5 THREADS [EPOCHS] [--device cpu|cuda]
//
// WORK is hessian, spectra or training. The results of the first call are written to OUTPUT.h5, and a line of
// JSON with its time to standard output. Every line on standard input then requests one repetition, which is
// answered by one line. Results are those of the first networks and of some rows of their Hessians;
// peers/espectra_peers/problem.py chooses the same.

#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace espectra {
namespace {

constexpr Index compared = 64;   // networks whose results are written
constexpr Index most_rows = 64;  // written of a Hessian of more than `whole` parameters
constexpr Index whole = 2000;
constexpr double least_seconds = 0.2;       // of a repetition, in which short work is done several times
constexpr std::int64_t early_epochs = 100;  // later, trajectories diverge by rounding

template <class D>
class RecordedWork {
    using B = typename D::Context;
    template <class T, std::size_t Rank>
    using DeviceView = View<T, Rank, B::space>;

    // Networks in a batch, as in `espectra run`.
    static constexpr Index analyzed_together = D::worker_per_core ? 16 : 4096,
                           trained_together = D::worker_per_core ? 64 : 4096;

  public:
    RecordedWork(const D& device, const std::string& path, int threads)
        : device_(device),
          run_(open_recorded_runs(path).front()),
          context_(device.context(threads)),
          data_(context_, run_.data),
          replicas_(run_.snapshots()),
          parameters_(run_.network.parameters()),
          theta_(context_, replicas_ * parameters_) {
        for (Index r = 0; r < replicas_; ++r) {
            const std::vector<double> theta = run_.theta(r);
            initial_.insert(initial_.end(), theta.begin(), theta.end());
        }
        copy(context_, initial_.data(), theta_.data(), theta_.size());
        context_.synchronize();
    }

    /// Work: all Hessians, both triangles, in memory at the same time.
    std::function<void()> hessian() {
        hessians_ = Buffer<double, B::space>(context_, replicas_ * parameters_ * parameters_);
        assembler_.emplace_back(context_, run_.network, data_.train(), replicas_);
        return [this] {
            const auto matrices = hessians_.view(replicas_, parameters_, parameters_);
            assembler_.front().assemble(theta(0, replicas_), matrices);
            symmetrize(context_, {matrices});
            context_.synchronize();
        };
    }

    /// Work: Hessians and spectra with certificates, as `espectra run` computes them: one batch on each core
    /// if there are enough networks, otherwise all cores on each batch.
    std::function<void()> spectra() {
        eigenvalues_.resize(initial_.size());
        Index threads = 1;
        if constexpr (requires { context_.threads(); }) threads = context_.threads();
        const Index at_once = std::clamp<Index>(threads, 1, replicas_);
        batches_ = CpuContext(static_cast<int>(at_once));
        for (Index core = 0; core < at_once; ++core)
            analyses_.push_back(
                {std::make_unique<B>(device_.context(at_once > 1 ? 1 : static_cast<int>(threads))), {}});
        const Index rounds = (replicas_ + analyzed_together * at_once - 1) / (analyzed_together * at_once);
        return [this, batches = rounds * at_once] {
            batches_.parallel_for(batches, [&](Index batch, int core) {
                const Index begin = batch * replicas_ / batches, end = (batch + 1) * replicas_ / batches;
                analyze(begin, end - begin, analyses_[static_cast<std::size_t>(core)]);
            });
        };
    }

    /// Work: θ and cost after `epochs` updates, one batch at a time.
    std::function<void()> training(std::int64_t epochs) {
        trained_.resize(initial_.size());
        cost_.resize(static_cast<std::size_t>(replicas_));
        return [this, epochs] {
            for (Index begin = 0; begin < replicas_; begin += trained_together)
                train(begin, std::min(trained_together, replicas_ - begin), epochs);
        };
    }

    void write(const std::string& path, const std::string& work) {
        Hdf5File file = Hdf5File::create(path);
        const Index networks = std::min(compared, replicas_), p = parameters_;
        if (work == "hessian") {
            std::vector<double> rows;
            const Index count = p <= whole ? p : most_rows;
            for (Index r = 0; r < networks; ++r)
                for (Index k = 0; k < count; ++k) {
                    const Index row = r * p + k * (p - 1) / std::max<Index>(count - 1, 1);
                    const std::vector<double> values = fetch(context_, hessians_.data() + row * p, p);
                    rows.insert(rows.end(), values.begin(), values.end());
                }
            file.write("hessian", {networks, count, p}, rows);
        } else if (work == "spectra") {
            file.write("eigenvalues", {replicas_, p}, eigenvalues_);
        } else {
            file.write("theta", {replicas_, p}, trained_);
            file.write("cost", {replicas_}, cost_);
            train(0, networks, early_epochs);
            trained_.resize(static_cast<std::size_t>(networks * p));
            file.write("early_theta", {networks, p}, trained_);
        }
        file.close();
    }

    const char* method() const { return method_.c_str(); }

  private:
    DeviceView<const double, 2> theta(Index begin, Index count) const {
        return make_view<B::space>(theta_.data() + begin * parameters_, count, parameters_);
    }

    /// Evaluator and analyzer for batches of `count` networks.
    struct Prepared {
        Index count;
        Evaluator<B> evaluator;
        SpectrumAnalyzer<B> analyzer;
    };

    /// State of one worker, whose batches have one of two sizes.
    struct Analysis {
        std::unique_ptr<B> context;
        std::vector<Prepared> prepared;
    };

    Prepared& prepare(Index count, Analysis& analysis) {
        for (Prepared& known : analysis.prepared)
            if (known.count == count) return known;
        B& context = *analysis.context;
        return analysis.prepared.emplace_back(
            Prepared{.count = count,
                     .evaluator = Evaluator<B>(context, run_.network, data_.train(), count),
                     .analyzer = SpectrumAnalyzer<B>(context, run_.network, data_.train(), count, {})});
    }

    void analyze(Index begin, Index count, Analysis& analysis) {
        Prepared& prepared = prepare(count, analysis);
        prepared.evaluator.evaluate(theta(begin, count));
        const auto spectra = prepared.analyzer.analyze(theta(begin, count), prepared.evaluator.gradient());
        for (Index r = 0; r < count; ++r)
            std::ranges::copy(spectra[static_cast<std::size_t>(r)].eigenvalues,
                              eigenvalues_.begin() + (begin + r) * parameters_);
        if (begin == 0) method_ = prepared.analyzer.method();
    }

    void train(Index begin, Index count, std::int64_t epochs) {
        Trainer<B> trainer(context_, run_.network, data_.train(), {}, run_.training,
                           std::span(initial_).subspan(static_cast<std::size_t>(begin * parameters_),
                                                       static_cast<std::size_t>(count * parameters_)));
        trainer.advance_to(epochs);
        trainer.evaluate();
        std::ranges::copy(fetch(context_, trainer.theta().data, count * parameters_),
                          trained_.begin() + begin * parameters_);
        std::ranges::copy(fetch(context_, trainer.evaluator().cost().data, count), cost_.begin() + begin);
        method_ = trainer.method();
    }

    D device_;
    RecordedRun run_;
    B context_;
    CpuContext batches_{1};
    ResidentData<B> data_;
    Index replicas_, parameters_;
    std::vector<double> initial_, eigenvalues_, trained_, cost_;
    Buffer<double, B::space> theta_, hessians_;
    std::vector<HessianAssembler<B>> assembler_;  // none or one
    std::vector<Analysis> analyses_;
    std::string method_ = "assembled";
};

double seconds_of(const std::function<void()>& call, Index calls) {
    const Timer timer;
    for (Index i = 0; i < calls; ++i) call();
    return timer.seconds() / static_cast<double>(calls);
}

struct Request {
    std::string work, run, output;
    int threads;
    std::int64_t epochs;
};

template <class D>
void serve(const D& device, const Request& request) {
    RecordedWork<D> recorded(device, request.run, request.threads);
    const std::size_t loaded = peak_resident_memory();
    const std::function<void()> call = request.work == "hessian"   ? recorded.hessian()
                                       : request.work == "spectra" ? recorded.spectra()
                                                                   : recorded.training(request.epochs);
    const double first = seconds_of(call, 1);
    const std::size_t peak = peak_resident_memory();
    recorded.write(request.output, request.work);
    const double warm = first < least_seconds ? seconds_of(call, 1) : first;
    const auto calls = std::max<Index>(1, static_cast<Index>(least_seconds / warm));
    const auto print = [](const std::string& line) {
        fmt::print("{}\n", line);
        std::fflush(stdout);
    };
    print(fmt::format(
        R"({{"first_seconds": {}, "calls": {}, "loaded_bytes": {}, "peak_bytes": {}, "method": "{}"}})",
        first, calls, loaded, peak, recorded.method()));
    for (std::string line; std::getline(std::cin, line);)
        print(fmt::format(R"({{"seconds": {}, "peak_bytes": {}}})", seconds_of(call, calls),
                          peak_resident_memory()));
}

}  // namespace

int recorded_work(std::vector<std::string> arguments) {
    std::string device = "cpu";
    if (arguments.size() > 1 && arguments[arguments.size() - 2] == "--device") {
        device = arguments.back();
        arguments.resize(arguments.size() - 2);
    }
    const bool training = !arguments.empty() && arguments[0] == "training";
    if (arguments.size() != (training ? 5 : 4))
        throw InputError("recorded: expected WORK RUN.h5 OUTPUT.h5 THREADS, of training EPOCHS as well");
    if (!training && arguments[0] != "hessian" && arguments[0] != "spectra")
        throw InputError(
            fmt::format("recorded: \"{}\": expected hessian, spectra or training", arguments[0]));
    const auto number = [&](std::size_t i, const char* name) {
        const std::string& text = arguments[i];
        int value = 0;
        if (std::from_chars(text.data(), text.data() + text.size(), value).ptr != text.data() + text.size() ||
            value < 0)
            throw InputError(fmt::format("recorded: {} \"{}\": expected a whole number", name, text));
        return value;
    };
    const Request request{arguments[0], arguments[1], arguments[2], number(3, "THREADS"),
                          training ? number(4, "EPOCHS") : 0};
    std::visit([&](const auto& chosen) { serve(chosen, request); }, choose_device(device));
    return 0;
}

}  // namespace espectra
