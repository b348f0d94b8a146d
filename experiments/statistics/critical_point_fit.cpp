#include "espectra/experiments/statistics/critical_point_fit.hpp"

#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

namespace espectra {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double least_exponent = 0.1, most_exponent = 10;
constexpr int resamples = 400;
/// Difference of costs, relative to the largest |ε|, up to which they belong to one critical point: searches
/// that end at the same point differ by rounding and by ‖∇ℓ‖²/|λ|, together below 1e-10 for gradients up to
/// 1e-10 and the eigenvalues that the search uses. A law over the spread could not distinguish them either.
constexpr double same_cost = 1e-6;

/// The costs of distinct critical points, ascending, and the index of the cost of each point.
struct Clusters {
    explicit Clusters(const std::vector<IndexAtCost>& points) : of_point(points.size()) {
        std::vector<std::size_t> order(points.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, {}, [&](std::size_t i) { return points[i].cost; });
        for (const IndexAtCost& point : points)
            resolution = std::max(resolution, same_cost * std::fabs(point.cost));
        for (const std::size_t i : order) {
            if (costs.empty() || points[i].cost - costs.back() > resolution) costs.push_back(points[i].cost);
            of_point[i] = costs.size() - 1;
        }
    }

    std::vector<double> costs;  ///< the least cost of each cluster
    std::vector<std::size_t> of_point;
    double resolution = 0;
};

/// The points with their weights in a resample, summed by cluster, and the least squares over the coefficient
/// in closed form.
class Sample {
  public:
    Sample(const std::vector<IndexAtCost>& points, const Clusters& clusters,
           const std::vector<double>& weights)
        : spread_(clusters.costs.back() - clusters.costs.front()),
          lowest_(clusters.costs.front() - spread_),
          highest_(clusters.costs.back()),
          resolution_(clusters.resolution) {
        std::vector<Cluster> all(clusters.costs.size());
        std::set<double> alphas;  // counts divided by P: equal values have equal bits
        for (std::size_t i = 0; i < points.size(); ++i) {
            if (weights[i] == 0) continue;
            const double alpha = points[i].alpha;
            Cluster& cluster = all[clusters.of_point[i]];
            cluster.cost = clusters.costs[clusters.of_point[i]];
            cluster.weight += weights[i];
            cluster.alpha += weights[i] * alpha;
            alpha_alpha_ += weights[i] * alpha * alpha;
            total_ += weights[i];
            alphas.insert(alpha);
            positive_ += alpha > 0;
        }
        std::ranges::copy_if(all, std::back_inserter(clusters_),
                             [](const Cluster& c) { return c.weight > 0; });
        alphas_ = std::ssize(alphas);
    }

    /// Range of critical costs.
    double lowest() const { return lowest_; }
    double highest() const { return highest_; }
    double spread() const { return spread_; }

    /// Returns true if the sample distinguishes laws with this many free numbers.
    bool determines(Index free_numbers) const {
        return positive_ >= 3 && alphas_ >= 2 && std::ssize(clusters_) > free_numbers;
    }
    Index clusters_above(double critical) const {
        return std::ranges::count_if(clusters_,
                                     [&](const Cluster& c) { return c.cost > critical + resolution_; });
    }

    double coefficient(double exponent, double critical) const { return sums(exponent, critical).best(); }
    /// Σ w (α − law)² at the best coefficient; infinite outside of the range.
    double squares(double exponent, double critical) const {
        if (!(critical >= lowest_ && critical < highest_ && exponent >= least_exponent &&
              exponent <= most_exponent))
            return infinity;
        const Sums s = sums(exponent, critical);
        return alpha_alpha_ - s.best() * s.alpha_law;
    }
    double residual(double exponent, double critical) const {
        return std::sqrt(std::max(0.0, squares(exponent, critical)) / total_);
    }

  private:
    struct Cluster {
        double cost = 0, weight = 0, alpha = 0;  ///< alpha: weighted sum
    };
    struct Sums {
        double alpha_law = 0, law_law = 0;
        double best() const { return law_law > 0 ? alpha_law / law_law : 0.0; }
    };
    Sums sums(double exponent, double critical) const {
        Sums s;
        for (const Cluster& cluster : clusters_) {
            const double above = std::max(0.0, (cluster.cost - critical) / spread_);
            const double law = exponent == 1.5 ? above * std::sqrt(above) : std::pow(above, exponent);
            s.alpha_law += cluster.alpha * law;
            s.law_law += cluster.weight * law * law;
        }
        // In powers of (ε − ε_c) / spread the sums neither overflow nor vanish; scaled back to ε here.
        const double scale = std::pow(spread_, exponent);
        return {s.alpha_law * scale, s.law_law * scale * scale};
    }

    double spread_, lowest_, highest_, resolution_;
    std::vector<Cluster> clusters_;  // those with weight
    double alpha_alpha_ = 0, total_ = 0;
    Index alphas_ = 0, positive_ = 0;
};

struct Law {
    double exponent = 0, critical = 0;
};

/// The law with the smallest squares over a grid of 2 · cells critical costs, or `best` if its squares are
/// smaller.
Law best_on_grid(const Sample& sample, double exponent, int cells, Law best) {
    double least = sample.squares(best.exponent, best.critical);
    for (int i = 0; i < 2 * cells; ++i) {
        const double critical = sample.lowest() + i * sample.spread() / cells;
        if (const double squares = sample.squares(exponent, critical); squares < least) {
            least = squares;
            best = {exponent, critical};
        }
    }
    return best;
}

/// The law with the smallest squares over the critical cost: by a grid, then golden sections around its best
/// point.
Law best_critical_cost(const Sample& sample, double exponent) {
    constexpr int cells = 64, sections = 45;
    const double ratio = 0.5 * (std::sqrt(5.0) - 1), cell = sample.spread() / cells;
    const auto squares = [&](double critical) { return sample.squares(exponent, critical); };
    const double best = best_on_grid(sample, exponent, cells, {exponent, sample.lowest()}).critical;
    double a = std::max(sample.lowest(), best - cell), b = std::min(sample.highest(), best + cell);
    double left = b - ratio * (b - a), right = a + ratio * (b - a);
    double at_left = squares(left), at_right = squares(right);
    for (int i = 0; i < sections; ++i) {
        if (at_left < at_right) {
            b = std::exchange(right, left);
            at_right = at_left;
            at_left = squares(left = b - ratio * (b - a));
        } else {
            a = std::exchange(left, right);
            at_left = at_right;
            at_right = squares(right = a + ratio * (b - a));
        }
    }
    const double refined = 0.5 * (a + b);
    return {exponent, squares(refined) < squares(best) ? refined : best};
}

/// Downhill simplex (Nelder and Mead, 1965) over exponent and critical cost, to `precision` of both.
Law refine(const Sample& sample, const Law& start, double precision) {
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
        if (std::fabs(simplex[1].x - best.x) + std::fabs(worst.x - best.x) < precision &&
            std::fabs(simplex[1].y - best.y) + std::fabs(worst.y - best.y) < precision * sample.spread())
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
    for (double exponent = 0.12; exponent < most_exponent; exponent *= 1.2) {
        const Law law = best_critical_cost(sample, exponent);
        if (const double squares = sample.squares(law.exponent, law.critical); squares < least) {
            least = squares;
            best = law;
        }
    }
    return refine(sample, best, 1e-9);
}

/// The law of a resample: from the best point of a coarse grid, or from `whole`, that of all points.
Law best_law(const Sample& sample, const Law& whole) {
    Law start = whole;
    for (const double exponent : {0.15, 0.35, 0.7, 1.2, 2.0, 3.5, 7.0})
        start = best_on_grid(sample, exponent, 12, start);
    return refine(sample, start, 1e-6);
}

/// The middle 95 % of values, if not more of the resamples give none than lie outside.
void set_interval(std::vector<double> values, Estimate& estimate) {
    if (static_cast<double>(values.size()) < 0.95 * resamples) return;
    std::tie(estimate.low, estimate.high) = percentile_interval(std::move(values));
}

}  // namespace

IndexLaw fit_index_law(const std::vector<IndexAtCost>& points, std::optional<double> exponent) {
    IndexLaw result;
    if (points.empty()) return result;
    const Index free_numbers = exponent ? 2 : 3;
    std::map<Index, std::size_t> replicas;  // in the order of their first points
    for (const IndexAtCost& point : points) replicas.emplace(point.replica, replicas.size());

    const Clusters clusters(points);
    const Sample whole(points, clusters, std::vector<double>(points.size(), 1.0));
    if (!whole.determines(free_numbers)) return result;
    const Law law = exponent ? best_critical_cost(whole, *exponent) : best_law(whole);
    result.exponent.value = law.exponent;
    result.critical_cost.value = law.critical;
    result.coefficient.value = whole.coefficient(law.exponent, law.critical);
    result.residual = whole.residual(law.exponent, law.critical);
    result.at_limit =
        law.critical - whole.lowest() < 1e-3 * whole.spread() ||
        whole.clusters_above(law.critical) < free_numbers ||
        (!exponent && (law.exponent < 1.01 * least_exponent || law.exponent > 0.99 * most_exponent));
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
        const Sample sample(points, clusters, weights);
        if (!sample.determines(free_numbers)) continue;
        const Law resampled = exponent ? best_critical_cost(sample, *exponent) : best_law(sample, law);
        exponents.push_back(resampled.exponent);
        critical_costs.push_back(resampled.critical);
        coefficients.push_back(sample.coefficient(resampled.exponent, resampled.critical));
    }
    if (!exponent) set_interval(std::move(exponents), result.exponent);
    set_interval(std::move(critical_costs), result.critical_cost);
    set_interval(std::move(coefficients), result.coefficient);
    return result;
}

}  // namespace espectra
