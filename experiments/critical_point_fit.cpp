#include "espectra/experiments/critical_point_fit.hpp"

#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace espectra {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double least_exponent = 0.1, most_exponent = 10;
constexpr int resamples = 400;

/// The points with their weights in a resample, and the least squares over the coefficient in closed form.
class Sample {
  public:
    Sample(const std::vector<IndexAtCost>& points, std::vector<double> weights)
        : points_(points), weights_(std::move(weights)) {
        const auto [least, greatest] = std::ranges::minmax(points, {}, &IndexAtCost::cost);
        spread_ = greatest.cost - least.cost;
        lowest_ = least.cost - spread_;
        highest_ = greatest.cost;
        for (const double weight : weights_) total_ += weight;
    }

    double lowest() const { return lowest_; }  ///< of the critical costs to choose from
    double highest() const { return highest_; }
    double spread() const { return spread_; }

    double coefficient(double exponent, double critical) const { return sums(exponent, critical).best(); }
    /// Σ w (α − law)² at the best coefficient; infinite outside of the range.
    double squares(double exponent, double critical) const {
        if (!(critical >= lowest_ && critical < highest_ && exponent >= least_exponent &&
              exponent <= most_exponent))
            return infinity;
        const Sums s = sums(exponent, critical);
        return s.alpha_alpha - s.best() * s.alpha_law;
    }
    double residual(double exponent, double critical) const {
        return std::sqrt(std::max(0.0, squares(exponent, critical)) / total_);
    }

  private:
    struct Sums {
        double alpha_alpha = 0, alpha_law = 0, law_law = 0;
        double best() const { return law_law > 0 ? alpha_law / law_law : 0.0; }
    };
    Sums sums(double exponent, double critical) const {
        Sums s;
        for (std::size_t i = 0; i < points_.size(); ++i) {
            if (weights_[i] == 0) continue;
            const double above = std::max(0.0, (points_[i].cost - critical) / spread_);
            const double law = exponent == 1.5 ? above * std::sqrt(above) : std::pow(above, exponent);
            const double alpha = points_[i].alpha;
            s.alpha_alpha += weights_[i] * alpha * alpha;
            s.alpha_law += weights_[i] * alpha * law;
            s.law_law += weights_[i] * law * law;
        }
        // In powers of ε − ε_c over the spread, the sums neither overflow nor vanish; back to ε itself.
        const double scale = std::pow(spread_, exponent);
        return {s.alpha_alpha, s.alpha_law * scale, s.law_law * scale * scale};
    }

    const std::vector<IndexAtCost>& points_;
    std::vector<double> weights_;
    double lowest_ = 0, highest_ = 0, spread_ = 0, total_ = 0;
};

struct Law {
    double exponent = 0, critical = 0;
};

/// Smallest squares over the critical cost: a grid, then golden sections around its best point.
Law best_critical_cost(const Sample& sample, double exponent) {
    constexpr int cells = 128, sections = 45;
    const double ratio = 0.5 * (std::sqrt(5.0) - 1), cell = 2 * sample.spread() / cells;
    const auto squares = [&](double critical) { return sample.squares(exponent, critical); };
    double best = sample.lowest();
    for (int i = 1; i < cells; ++i)
        if (const double at = sample.lowest() + i * cell; squares(at) < squares(best)) best = at;
    double a = std::max(sample.lowest(), best - cell), b = std::min(sample.highest(), best + cell);
    for (int i = 0; i < sections; ++i) {
        const double left = b - ratio * (b - a), right = a + ratio * (b - a);
        (squares(left) < squares(right) ? b : a) = squares(left) < squares(right) ? right : left;
    }
    const double refined = 0.5 * (a + b);
    return {exponent, squares(refined) < squares(best) ? refined : best};
}

/// Downhill simplex (Nelder and Mead, 1965) over exponent and critical cost.
Law refine(const Sample& sample, const Law& start) {
    struct Vertex {
        double x, y, squares;
    };
    const auto vertex = [&](double x, double y) { return Vertex{x, y, sample.squares(x, y)}; };
    std::array<Vertex, 3> simplex = {vertex(start.exponent, start.critical),
                                     vertex(start.exponent * 1.1, start.critical),
                                     vertex(start.exponent, start.critical - 0.05 * sample.spread())};
    for (int i = 0; i < 200; ++i) {
        std::ranges::stable_sort(simplex, {}, &Vertex::squares);
        const Vertex &best = simplex[0], &worst = simplex[2];
        if (std::fabs(simplex[1].x - best.x) + std::fabs(worst.x - best.x) < 1e-9 &&
            std::fabs(simplex[1].y - best.y) + std::fabs(worst.y - best.y) < 1e-9 * sample.spread())
            break;
        const double x = 0.5 * (best.x + simplex[1].x), y = 0.5 * (best.y + simplex[1].y);
        const auto along = [&](double t) { return vertex(x + t * (worst.x - x), y + t * (worst.y - y)); };
        const Vertex reflected = along(-1);
        Vertex next = reflected;
        if (reflected.squares < best.squares) {
            const Vertex expanded = along(-2);
            if (expanded.squares < reflected.squares) next = expanded;
        } else if (!(reflected.squares < simplex[1].squares)) {
            next = reflected.squares < worst.squares ? along(-0.5) : along(0.5);
            if (!(next.squares < std::min(reflected.squares, worst.squares))) {
                for (int k = 1; k < 3; ++k)
                    simplex[static_cast<std::size_t>(k)] =
                        vertex(0.5 * (best.x + simplex[static_cast<std::size_t>(k)].x),
                               0.5 * (best.y + simplex[static_cast<std::size_t>(k)].y));
                continue;
            }
        }
        simplex[2] = next;
    }
    const Vertex& best = *std::ranges::min_element(simplex, {}, &Vertex::squares);
    return {best.x, best.y};
}

Law best_law(const Sample& sample) {
    Law best;
    double least = infinity;
    for (double exponent = 0.25; exponent < most_exponent; exponent *= 1.2) {
        const Law law = best_critical_cost(sample, exponent);
        if (const double squares = sample.squares(law.exponent, law.critical); squares < least) {
            least = squares;
            best = law;
        }
    }
    return refine(sample, best);
}

/// The middle 95 % of values.
void set_interval(std::vector<double> values, Estimate& estimate) {
    if (std::ssize(values) < resamples / 2) return;
    std::tie(estimate.low, estimate.high) = percentile_interval(std::move(values));
}

}  // namespace

IndexLaw fit_index_law(const std::vector<IndexAtCost>& points, std::optional<double> exponent) {
    IndexLaw result;
    std::set<double> costs;
    std::map<Index, std::size_t> replicas;  // in the order of their first points
    for (const IndexAtCost& point : points) {
        costs.insert(point.cost);
        replicas.emplace(point.replica, replicas.size());
    }
    const auto positive = std::ranges::count_if(points, [](const auto& point) { return point.alpha > 0; });
    if (positive < 3 || costs.size() < (exponent ? 3u : 4u)) return result;

    const Sample whole(points, std::vector<double>(points.size(), 1.0));
    const Law law = exponent ? best_critical_cost(whole, *exponent) : best_law(whole);
    result.exponent.value = law.exponent;
    result.critical_cost.value = law.critical;
    result.coefficient.value = whole.coefficient(law.exponent, law.critical);
    result.residual = whole.residual(law.exponent, law.critical);
    result.at_limit =
        law.critical - whole.lowest() < 1e-3 * whole.spread() ||
        (!exponent && (law.exponent < 1.001 * least_exponent || law.exponent > 0.999 * most_exponent));
    if (replicas.size() < 2) return result;

    const RandomStream random(0, bootstrap_stream);
    std::vector<double> exponents, critical_costs, coefficients;
    const auto count = static_cast<double>(replicas.size());
    for (int resample = 0; resample < resamples; ++resample) {
        std::vector<double> drawn(replicas.size(), 0.0), weights;
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            const auto draw = static_cast<std::uint64_t>(resample) * drawn.size() + i;
            ++drawn[static_cast<std::size_t>(random.uniform(draw) * count)];
        }
        for (const IndexAtCost& point : points) weights.push_back(drawn[replicas.at(point.replica)]);
        const Sample sample(points, std::move(weights));
        const Law resampled = exponent ? best_critical_cost(sample, *exponent) : refine(sample, law);
        const double coefficient = sample.coefficient(resampled.exponent, resampled.critical);
        if (!(coefficient > 0)) continue;  // no point above zero was drawn
        exponents.push_back(resampled.exponent);
        critical_costs.push_back(resampled.critical);
        coefficients.push_back(coefficient);
    }
    if (!exponent) set_interval(std::move(exponents), result.exponent);
    set_interval(std::move(critical_costs), result.critical_cost);
    set_interval(std::move(coefficients), result.coefficient);
    return result;
}

}  // namespace espectra
