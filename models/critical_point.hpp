#pragma once

#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace espectra {

/// Outcome of a search for a critical point.
enum class SearchOutcome {
    converged,        ///< ‖∇ℓ‖ ≤ gradient_tolerance, and the remaining Newton step is short
    most_iterations,  ///< not converged after `iterations`
    stationary,       ///< ‖∇ℓ‖ has a minimum above zero here, or a kink: no step makes it smaller
    at_infinity,      ///< ∇ℓ vanishes while long steps remain: θ goes to infinity, or no point is found
    not_finite,       ///< cost, gradient or Hessian are not finite; only θ is valid
};

struct CriticalPointOptions {
    double gradient_tolerance = 1e-10;  ///< of ‖∇ℓ‖, absolute
    std::int64_t iterations = 500;      ///< upper limit; each takes one Hessian and its eigenvectors
    double tolerance = 0;               ///< τ of α and γ; 0: automatic_tolerance

    bool operator==(const CriticalPointOptions&) const = default;
};

/// The point at which a search ended, with any outcome.
struct CriticalPoint {
    SearchOutcome outcome = SearchOutcome::not_finite;
    std::vector<double> theta;  ///< [P]
    double cost = 0, gradient_norm = 0;
    double distance = 0;  ///< ‖θ − initial θ‖
    std::int64_t iterations = 0;
    Spectrum spectrum;  ///< at θ, without eigenvectors

    bool converged() const { return outcome == SearchOutcome::converged; }
};

/// Searches for a critical point of the cost, saddle or minimum, near a given θ: minimises ½‖∇ℓ‖² by the
/// Levenberg–Marquardt method with the exact Hessian, with the step −H (H² + μ)⁻¹ ∇ℓ in its eigenvectors; μ
/// goes to zero with ‖∇ℓ‖, so that the last steps are Newton steps. Eigenvectors with |λ| ≤ 4Pε|λ|_max are
/// not used: θ does not move along scaling symmetries and dead rows (docs/mathematics.md, section 10). Works
/// on one network at a time; the context and the examples have to outlive it.
template <Backend B>
class CriticalPointSearch {
  public:
    CriticalPointSearch(B& context, const Network& network, Examples<B::space> examples,
                        const CriticalPointOptions& options)
        : context_(&context),
          parameters_(network.parameters()),
          options_(options),
          evaluator_(context, network, examples, 1),
          analyzer_(context, network, examples, 1, spectrum_options(options)),
          theta_(context, parameters_) {}

    /// Bytes that a search takes on its device, in addition to its eigenvectors in host memory, P² doubles.
    template <class Context>
    static std::size_t bytes(Context& context, const Network& network, Index examples) {
        return Evaluator<B>::bytes(network, examples, 1) +
               SpectrumAnalyzer<B>::bytes(context, network, examples, 1, spectrum_options({})) +
               static_cast<std::size_t>(network.parameters()) * sizeof(double);
    }

    /// Searches from θ [P], in host memory. No exception is thrown if the search does not converge. `stop` is
    /// called once per iteration; the search ends where it is if it returns true.
    CriticalPoint find(const std::vector<double>& theta, const std::function<bool()>& stop = {}) {
        CriticalPoint point;
        State state = evaluate(theta);
        double damping = 1;
        while (true) {
            if (!std::isfinite(state.gradient_norm) || !std::isfinite(state.cost)) break;
            try {
                point.spectrum = analyze(state);
            } catch (const NumericalError&) {
                point.outcome = SearchOutcome::not_finite;
                break;
            }
            const Modes modes = decompose(point.spectrum, state);
            const double newton_step = norm(step(modes, point.spectrum, 0));
            const bool near = state.gradient_norm <= options_.gradient_tolerance &&
                              newton_step <= step_tolerance * std::max(1.0, norm(state.theta));
            point.outcome = near ? SearchOutcome::converged : SearchOutcome::most_iterations;
            if (point.iterations == options_.iterations || (stop && stop())) break;
            if (!near && state.gradient_norm <= vanishing * options_.gradient_tolerance) {
                point.outcome = SearchOutcome::at_infinity;
                break;
            }
            if (near) {
                // Newton's method converges down to rounding, where another step would change nothing.
                State next = evaluate(moved(state, step(modes, point.spectrum, 0)));
                if (!(next.gradient_norm < 0.5 * state.gradient_norm)) break;
                state = std::move(next);
            } else if (!descend(modes, point.spectrum, damping, state)) {
                point.outcome = SearchOutcome::stationary;
                break;
            }
            ++point.iterations;
        }
        point.cost = state.cost;
        point.gradient_norm = state.gradient_norm;
        point.distance = distance(theta, state.theta);
        point.theta = std::move(state.theta);
        point.spectrum.eigenvectors.clear();
        point.spectrum.participation.clear();
        return point;
    }

  private:
    /// Longest Newton step, relative to max(1, ‖θ‖), at which the point counts as found.
    static constexpr double step_tolerance = 1e-6;
    /// ‖∇ℓ‖, relative to the tolerance, below which longer steps mean that there is no point.
    static constexpr double vanishing = 1e-6;
    /// ‖Hg‖ / (|λ|_max ‖g‖) below which the gradient of ½‖∇ℓ‖² counts as zero.
    static constexpr double flat = 1e-8;

    struct State {
        std::vector<double> theta, gradient;
        double cost = 0, gradient_norm = 0;
    };
    /// The eigenvalues that are used, and the gradient's components along their eigenvectors.
    struct Modes {
        std::vector<std::size_t> index;
        std::vector<double> eigenvalue, gradient;
        double largest = 0;  ///< |λ|_max
    };

    static SpectrumOptions spectrum_options(const CriticalPointOptions& options) {
        return {.tolerance = options.tolerance, .eigenvectors = true};
    }

    static double norm(const std::vector<double>& v) {
        double squares = 0;
        for (const double x : v) squares += x * x;
        return std::sqrt(squares);
    }
    static double distance(const std::vector<double>& x, const std::vector<double>& y) {
        double squares = 0;
        for (std::size_t i = 0; i < x.size(); ++i) squares += (x[i] - y[i]) * (x[i] - y[i]);
        return std::sqrt(squares);
    }
    static std::vector<double> moved(const State& state, const std::vector<double>& by) {
        std::vector<double> theta = state.theta;
        for (std::size_t i = 0; i < theta.size(); ++i) theta[i] += by[i];
        return theta;
    }

    /// Evaluates cost and gradient at θ.
    State evaluate(std::vector<double> theta) {
        copy(*context_, theta.data(), theta_.data(), parameters_);
        evaluator_.evaluate(std::as_const(theta_).view(1, parameters_));
        State state;
        state.cost = fetch(*context_, evaluator_.cost().data, 1).front();
        state.gradient = fetch(*context_, evaluator_.gradient().data, parameters_);
        state.gradient_norm = norm(state.gradient);
        state.theta = std::move(theta);
        return state;
    }

    /// Spectrum with eigenvectors at `state`; the evaluator may have moved to another θ since.
    Spectrum analyze(const State& state) {
        copy(*context_, state.theta.data(), theta_.data(), parameters_);
        Buffer<double, B::space> gradient(*context_, parameters_);
        copy(*context_, state.gradient.data(), gradient.data(), parameters_);
        return std::move(analyzer_
                             .analyze(std::as_const(theta_).view(1, parameters_),
                                      std::as_const(gradient).view(1, parameters_))
                             .front());
    }

    /// Decomposes the gradient in the eigenvectors with |λ| > 4Pε|λ|_max.
    Modes decompose(const Spectrum& spectrum, const State& state) const {
        Modes modes;
        const std::vector<double>& values = spectrum.eigenvalues;
        modes.largest = std::max(std::fabs(values.front()), std::fabs(values.back()));
        const double cut = automatic_tolerance(parameters_) * modes.largest;
        for (std::size_t e = 0; e < values.size(); ++e) {
            if (!(std::fabs(values[e]) > cut)) continue;
            const double* vector = spectrum.eigenvectors.data() + e * values.size();
            double along = 0;
            for (std::size_t i = 0; i < values.size(); ++i) along += vector[i] * state.gradient[i];
            modes.index.push_back(e);
            modes.eigenvalue.push_back(values[e]);
            modes.gradient.push_back(along);
        }
        return modes;
    }

    /// The step −H (H² + μ)⁻¹ ∇ℓ; the Newton step for μ = 0.
    std::vector<double> step(const Modes& modes, const Spectrum& spectrum, double mu) const {
        const std::size_t p = spectrum.eigenvalues.size();
        std::vector<double> by(p, 0.0);
        for (std::size_t k = 0; k < modes.index.size(); ++k) {
            const double value = modes.eigenvalue[k];
            const double along = -modes.gradient[k] * (mu > 0 ? value / (value * value + mu) : 1 / value);
            const double* vector = spectrum.eigenvectors.data() + modes.index[k] * p;
            for (std::size_t i = 0; i < p; ++i) by[i] += along * vector[i];
        }
        return by;
    }

    /// Takes one step that makes ‖∇ℓ‖ smaller and adapts the damping to how well the linear model predicted
    /// it; returns false if there is no such step. μ = damping · |λ|_max ‖∇ℓ‖ / max(1, ‖θ‖).
    bool descend(const Modes& modes, const Spectrum& spectrum, double& damping, State& state) {
        constexpr double least = 1e-10, most = 1e16, factor = 4;
        const double scale = modes.largest * state.gradient_norm / std::max(1.0, norm(state.theta));
        const double squares = state.gradient_norm * state.gradient_norm;
        double slope = 0;
        for (std::size_t k = 0; k < modes.index.size(); ++k)
            slope += modes.eigenvalue[k] * modes.gradient[k] * modes.eigenvalue[k] * modes.gradient[k];
        if (!(std::sqrt(slope) > flat * modes.largest * state.gradient_norm)) return false;
        for (; damping <= most; damping *= factor) {
            const double mu = damping * scale;
            double predicted = 0;
            for (std::size_t k = 0; k < modes.index.size(); ++k) {
                const double left = mu / (modes.eigenvalue[k] * modes.eigenvalue[k] + mu);
                predicted += modes.gradient[k] * modes.gradient[k] * (1 - left * left);
            }
            State next = evaluate(moved(state, step(modes, spectrum, mu)));
            if (!std::isfinite(next.gradient_norm) || !std::isfinite(next.cost)) continue;
            const double gain = (squares - next.gradient_norm * next.gradient_norm) / predicted;
            if (!(gain > 1e-4)) continue;
            if (gain < 0.25) damping = std::min(most, damping * factor);
            if (gain > 0.75) damping = std::max(least, damping / factor);
            state = std::move(next);
            return true;
        }
        damping = 1;
        return false;
    }

    B* context_;
    Index parameters_;
    CriticalPointOptions options_;
    Evaluator<B> evaluator_;
    SpectrumAnalyzer<B> analyzer_;
    Buffer<double, B::space> theta_;
};

}  // namespace espectra
