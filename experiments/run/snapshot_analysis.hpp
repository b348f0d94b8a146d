#pragma once

#include "espectra/experiments/run/recorder.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/error.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

/// Makes records of snapshots. Keeps its context and analyzer for further snapshots of the same network.
template <Backend B>
class SnapshotAnalysis {
  public:
    /// Returns the records of these rows of a snapshot, which is complete after `ready`. The spectra are
    /// computed together, or one by one where one of them fails. `state` is no longer in use afterwards.
    /// `planned`: the first network of the rows' kind.
    std::vector<Analyzed> analyze(const PlannedNetwork& planned, Examples<B::space> train,
                                  const std::function<B()>& make_context, const Snapshot<B>& state,
                                  const std::vector<Index>& rows, const typename B::Event& ready);

  private:
    bool made_for(const PlannedNetwork& planned) const { return network_ == &planned; }
    SpectrumAnalyzer<B>& analyzer(const PlannedNetwork& planned, Examples<B::space> train,
                                  const std::function<B()>& make_context, Index replicas);
    void describe(const PlannedNetwork& planned, const Snapshot<B>& state, const std::vector<Index>& rows,
                  std::vector<Analyzed>& analyzed);

    const PlannedNetwork* network_ = nullptr;
    Index replicas_ = 0;  // at a time
    std::unique_ptr<B> context_;
    std::unique_ptr<SpectrumAnalyzer<B>> analyzer_;
};

template <Backend B>
SpectrumAnalyzer<B>& SnapshotAnalysis<B>::analyzer(const PlannedNetwork& planned, Examples<B::space> train,
                                                   const std::function<B()>& make_context, Index replicas) {
    if (made_for(planned) && replicas_ == replicas) return *analyzer_;
    analyzer_.reset();  // frees its memory before the next one takes its own
    if (!made_for(planned)) context_ = std::make_unique<B>(make_context());
    analyzer_ = std::make_unique<SpectrumAnalyzer<B>>(*context_, planned.network, train, replicas,
                                                      planned.recipe.spectrum);
    network_ = &planned;
    replicas_ = replicas;
    return *analyzer_;
}

template <Backend B>
std::vector<Analyzed> SnapshotAnalysis<B>::analyze(const PlannedNetwork& planned, Examples<B::space> train,
                                                   const std::function<B()>& make_context,
                                                   const Snapshot<B>& state, const std::vector<Index>& rows,
                                                   const typename B::Event& ready) {
    const Index p = planned.network.parameters();
    const Index all = state.theta.size() / p, count = std::ssize(rows);
    analyzer(planned, train, make_context, count);
    B& context = *context_;
    context.wait_for(ready);
    Buffer<double, B::space> gathered;
    auto theta = state.theta.view(all, p), gradient = state.gradient.view(all, p);
    if (count < all) {
        gathered = Buffer<double, B::space>(context, 2 * count * p);
        for (Index i = 0; i < count; ++i) {
            const Index row = rows[static_cast<std::size_t>(i)];
            copy(context, theta[row].data, gathered.data() + i * p, p);
            copy(context, gradient[row].data, gathered.data() + (count + i) * p, p);
        }
        const auto both = gathered.view(2 * count, p);
        theta = both.slice(0, 0, count);
        gradient = both.slice(0, count, count);
    }

    std::vector<Analyzed> analyzed(static_cast<std::size_t>(count));
    const auto solve = [&](Index first, Index replicas) {
        auto spectra = analyzer(planned, train, make_context, replicas)
                           .analyze(theta.slice(0, first, replicas), gradient.slice(0, first, replicas));
        for (Index i = 0; i < replicas; ++i) {
            Analyzed& one = analyzed[static_cast<std::size_t>(first + i)];
            one.record.spectrum = std::move(spectra[static_cast<std::size_t>(i)]);
            one.failure = one.record.spectrum.failure;
        }
    };
    try {
        solve(0, count);
    } catch (const NumericalError& whole) {
        if (count == 1) analyzed.front().failure = whole.what();
        for (Index i = 0; i < count && count > 1; ++i) {
            try {
                solve(i, 1);
            } catch (const NumericalError& error) {
                analyzed[static_cast<std::size_t>(i)].failure = error.what();
            }
        }
    }
    describe(planned, state, rows, analyzed);
    context.synchronize();  // buffers of the training's context are no longer in use
    return analyzed;
}

/// Fetches everything about the snapshot but the spectra from the device.
template <Backend B>
void SnapshotAnalysis<B>::describe(const PlannedNetwork& planned, const Snapshot<B>& state,
                                   const std::vector<Index>& rows, std::vector<Analyzed>& analyzed) {
    const auto values = [&](const Buffer<double, B::space>& buffer) {
        return fetch(*context_, buffer.data(), buffer.size());
    };
    const bool classes = planned.data->classes > 0, test = classes && state.accuracy_test.size() > 0;
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    const auto theta = values(state.theta), gradient = values(state.gradient), cost = values(state.cost),
               accuracy = values(state.accuracy), zero_residuals = values(state.zero_residuals),
               accuracy_test = values(state.accuracy_test);
    const Index p = planned.network.parameters();
    for (std::size_t i = 0; i < analyzed.size(); ++i) {
        const auto row = static_cast<std::size_t>(rows[i]);
        const Index begin = rows[i] * p;
        SnapshotRecord& record = analyzed[i].record;
        record.theta.assign(theta.begin() + begin, theta.begin() + begin + p);
        record.cost = cost[row];
        const auto first = gradient.begin() + begin;
        record.gradient_norm = std::sqrt(std::inner_product(first, first + p, first, 0.0));
        record.accuracy_train = classes ? accuracy[row] : none;
        record.accuracy_test = test ? accuracy_test[row] : none;
        record.zero_residuals = zero_residuals[row];
    }
}

}  // namespace espectra
