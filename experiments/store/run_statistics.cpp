#include "espectra/experiments/store/run_statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr Index column_count = std::ssize(statistics_columns);
constexpr Index cost_bins = 20;
constexpr Index tolerances = 61;  // from 1e-16 to 1e-1, four per decade

bool has_statistics(const PlannedNetwork& planned) {
    return planned.recipe.replicas > 1 && planned.snapshots() > 0;
}

std::string inside(const PlannedNetwork& planned, const std::string& name) {
    return planned.name + "/statistics/" + name;
}

bool has_role(const Recipe& recipe, BetaRole role) {
    return std::ranges::any_of(recipe.activations, [&](Activation a) { return traits_of(a).beta == role; });
}

/// The recipe with the defaults of keys that have no meaning for its networks.
Recipe meaningful(Recipe recipe) {
    if (!has_role(recipe, BetaRole::sharpness)) {
        recipe.trainable_beta = Recipe().trainable_beta;
        recipe.beta = Recipe().beta;
    }
    if (!has_role(recipe, BetaRole::negative_slope)) recipe.negative_slope = Recipe().negative_slope;
    return recipe;
}

/// Indices of networks in groups that agree in `common(recipe)`; of networks that do not differ at all the
/// first one alone.
template <class Common>
std::vector<std::vector<std::size_t>> grouped(const std::vector<PlannedNetwork>& networks, Common&& common) {
    struct Group {
        Recipe common;
        std::vector<std::size_t> members;
    };
    // The numbers that sweeps vary most find the few groups to compare with.
    const auto bucket = [](const PlannedNetwork& planned, const Recipe& shared) {
        return std::tuple(planned.data.get(), shared.seed, shared.hidden, shared.activations,
                          shared.training.learning_rate, shared.training.decay_rate, shared.epochs,
                          shared.beta.mean, shared.beta.standard_deviation);
    };
    std::map<decltype(bucket(networks.front(), Recipe())), std::vector<Group>> buckets;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        if (!has_statistics(networks[n])) continue;
        const Recipe shared = common(networks[n].recipe);
        auto& groups = buckets[bucket(networks[n], shared)];
        auto group = std::ranges::find(groups, shared, &Group::common);
        if (group == groups.end()) group = groups.insert(group, {shared, {}});
        const Recipe recipe = meaningful(networks[n].recipe);
        if (std::ranges::none_of(group->members, [&](std::size_t member) {
                return meaningful(networks[member].recipe) == recipe;
            }))
            group->members.push_back(n);
    }
    std::vector<std::vector<std::size_t>> all;
    for (auto& [key, groups] : buckets)
        for (Group& group : groups) all.push_back(std::move(group.members));
    std::ranges::sort(all);
    return all;
}

/// Pairs of combinations that differ in nothing but their activation; β has to agree where both have layers
/// that it is for, and so has the negative slope.
std::vector<std::pair<std::size_t, std::size_t>> comparable(const std::vector<PlannedNetwork>& networks) {
    const auto groups = grouped(networks, [](Recipe recipe) {
        recipe.activations.clear();
        recipe.trainable_beta = false;
        recipe.beta = {};
        recipe.negative_slope = 0;
        return recipe;
    });
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (const auto& members : groups)
        for (const std::size_t a : members)
            for (const std::size_t b : members) {
                const Recipe &first = networks[a].recipe, &second = networks[b].recipe;
                if (first.activations == second.activations) continue;
                const auto both = [&](BetaRole role) {
                    return has_role(first, role) && has_role(second, role);
                };
                if (both(BetaRole::sharpness) &&
                    (first.trainable_beta != second.trainable_beta || !(first.beta == second.beta)))
                    continue;
                if (both(BetaRole::negative_slope) && first.negative_slope != second.negative_slope) continue;
                pairs.emplace_back(a, b);
            }
    std::ranges::sort(pairs);
    return pairs;
}

/// Records of one combination, of those columns that the statistics need.
class Records {
  public:
    Records(const Hdf5File& file, const PlannedNetwork& planned)
        : replicas_(planned.recipe.replicas), snapshots_(planned.snapshots()) {
        for (const char* name : statistics_columns)
            columns_.push_back(file.read<double>(planned.name + "/" + name, {replicas_, snapshots_}));
    }
    /// One value per replica; NaN where there is no record (α is written last).
    std::vector<double> at(std::size_t column, Index snapshot) const {
        std::vector<double> values;
        for (Index r = 0; r < replicas_; ++r) {
            const auto i = static_cast<std::size_t>(r * snapshots_ + snapshot);
            values.push_back(std::isnan(columns_[alpha_column][i]) ? nan : columns_[column][i]);
        }
        return values;
    }
    const std::vector<double>& all(std::size_t column) const { return columns_[column]; }

    static constexpr std::size_t cost_column = 0, alpha_column = 4, gamma_column = 5;

  private:
    Index replicas_, snapshots_;
    std::vector<std::vector<double>> columns_;
};

void append(std::vector<double>& row, const Estimate& estimate) {
    row.insert(row.end(), {estimate.value, estimate.low, estimate.high});
}

void append(std::vector<double>& row, const Quartiles& quartiles) {
    row.insert(row.end(), {quartiles.median.value, quartiles.first, quartiles.third, quartiles.median.low,
                           quartiles.median.high});
}

/// (E, 5) of each column.
void write_quartiles(Hdf5File& file, const PlannedNetwork& planned, const Records& records,
                     Statistics& statistics, CombinationStatistics& combination) {
    const Index snapshots = planned.snapshots();
    for (std::size_t c = 0; c < statistics_columns.size(); ++c) {
        std::vector<double> rows;
        for (Index e = 0; e < snapshots; ++e) {
            const Quartiles quartiles = statistics.quartiles(records.at(c, e));
            append(rows, quartiles);
            if (e == snapshots - 1) combination.columns[c] = quartiles;
        }
        file.write_slab(inside(planned, statistics_columns[c]), {0, 0}, {snapshots, 5}, rows.data());
    }
}

void write_fractions(Hdf5File& file, const PlannedNetwork& planned, const Records& records,
                     CombinationStatistics& combination) {
    const std::vector<double> costs = records.at(Records::cost_column, planned.snapshots() - 1);
    combination.constant_cost = constant_cost(planned);
    Index failed = 0, untrained = 0;
    for (const double cost : costs) {
        failed += std::isnan(cost);
        untrained += cost >= 0.99 * combination.constant_cost;
    }
    combination.failed = fraction(failed, std::ssize(costs));
    combination.untrained = fraction(untrained, std::ssize(costs) - failed);
    for (const auto& [name, estimate] :
         {std::pair("failed", combination.failed), std::pair("untrained", combination.untrained)}) {
        const double row[] = {estimate.value, estimate.low, estimate.high};
        file.write_slab(inside(planned, name), {0}, {3}, row);
    }
}

/// Records of all replicas and epochs in bins of equal numbers, by cost.
void write_alpha_against_cost(Hdf5File& file, const PlannedNetwork& planned, const Records& records) {
    const auto& cost = records.all(Records::cost_column);
    const auto& alpha = records.all(Records::alpha_column);
    const auto& gamma = records.all(Records::gamma_column);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < cost.size(); ++i)
        if (!std::isnan(alpha[i]) && !std::isnan(cost[i])) order.push_back(i);
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return cost[i]; });
    std::vector<double> rows;
    for (Index bin = 0; bin < cost_bins; ++bin) {
        const auto size = static_cast<Index>(order.size());
        const Index begin = bin * size / cost_bins, end = (bin + 1) * size / cost_bins;
        const auto sorted = [&](const std::vector<double>& column) {
            std::vector<double> values;
            for (Index i = begin; i < end; ++i) values.push_back(column[order[static_cast<std::size_t>(i)]]);
            std::ranges::sort(values);
            return values;
        };
        const auto alphas = sorted(alpha);
        rows.insert(rows.end(),
                    {quantile(sorted(cost), 0.5), quantile(alphas, 0.5), quantile(alphas, 0.25),
                     quantile(alphas, 0.75), quantile(sorted(gamma), 0.5), static_cast<double>(end - begin)});
    }
    file.write_slab(inside(planned, "alpha_against_cost"), {0, 0}, {cost_bins, 6}, rows.data());
}

double tolerance(Index i) { return std::pow(10.0, -16.0 + 0.25 * static_cast<double>(i)); }

/// Median and quartiles of α(τ) and γ(τ) at the last epoch.
void write_indices_by_tolerance(Hdf5File& file, const PlannedNetwork& planned) {
    const Index replicas = planned.recipe.replicas, p = planned.network.parameters(),
                last = planned.snapshots() - 1;
    std::vector<std::vector<double>> alpha(tolerances), gamma(tolerances);
    for (Index r = 0; r < replicas; ++r) {
        const auto values = file.read_slab<double>(planned.name + "/eigenvalues", {r, last, 0}, {1, 1, p});
        if (std::isnan(values.front())) continue;
        const double largest = std::max(std::fabs(values.front()), std::fabs(values.back()));
        for (Index t = 0; t < tolerances; ++t) {
            const double threshold = tolerance(t) * largest;
            const auto below = std::ranges::lower_bound(values, -threshold) - values.begin();
            const auto above = values.end() - std::ranges::upper_bound(values, threshold);
            alpha[static_cast<std::size_t>(t)].push_back(static_cast<double>(below) / static_cast<double>(p));
            gamma[static_cast<std::size_t>(t)].push_back(static_cast<double>(p - below - above) /
                                                         static_cast<double>(p));
        }
    }
    const auto write = [&](const char* name, std::vector<std::vector<double>>& curves) {
        std::vector<double> rows;
        for (auto& values : curves) {
            std::ranges::sort(values);
            for (const double q : {0.5, 0.25, 0.75}) rows.push_back(quantile(values, q));
        }
        file.write_slab(inside(planned, name), {0, 0}, {tolerances, 3}, rows.data());
    };
    write("alpha_of_tau", alpha);
    write("gamma_of_tau", gamma);
}

std::vector<Consistency> consistency(const std::vector<PlannedNetwork>& networks,
                                     const RunStatistics& statistics,
                                     const std::vector<std::vector<double>>& last_costs, Statistics& draws) {
    std::map<std::size_t, std::size_t> places;  // of networks among the combinations
    for (std::size_t i = 0; i < statistics.combinations.size(); ++i)
        places[statistics.combinations[i].network] = i;
    const auto groups = grouped(networks, [](Recipe recipe) {
        recipe.hidden.clear();
        return meaningful(recipe);
    });
    std::vector<Consistency> all;
    for (const auto& members : groups) {
        if (members.size() < 2) continue;
        Consistency one;
        one.activation = networks[members.front()].network.activations_text();
        one.networks = members;
        one.worst_median = -std::numeric_limits<double>::infinity();
        std::vector<std::vector<double>> samples;
        Index untrained = 0, replicas = 0;
        for (const std::size_t network : members) {
            const std::size_t place = places.at(network);
            const CombinationStatistics& combination = statistics.combinations[place];
            const auto& costs = last_costs[place];
            samples.push_back(costs);
            replicas += std::ssize(costs);
            untrained += std::ranges::count_if(
                costs, [&](double cost) { return !(cost < 0.99 * combination.constant_cost); });
            one.worst_median =
                std::fmax(one.worst_median, combination.columns[Records::cost_column].median.value);
        }
        one.untrained = fraction(untrained, replicas);
        one.spread_of_medians = draws.spread_of_medians(samples);
        one.cost = draws.pooled_quartiles(std::move(samples));
        all.push_back(std::move(one));
    }
    return all;
}

std::string interval_text(const Estimate& estimate, const char* format) {
    if (std::isnan(estimate.value)) return "-";
    const auto number = [&](double value) { return fmt::format(fmt::runtime(format), value); };
    return fmt::format("{} [{}, {}]", number(estimate.value), number(estimate.low), number(estimate.high));
}

}  // namespace

double constant_cost(const PlannedNetwork& planned) {
    const DataSet& data = *planned.data;
    const auto m = static_cast<double>(data.train_examples);
    double cost = 0;
    for (Index c = 0; c < data.outputs; ++c) {
        double sum = 0, squares = 0;
        for (Index e = 0; e < data.train_examples; ++e) {
            const double y = data.y_train[static_cast<std::size_t>(c * data.train_examples + e)];
            sum += y;
            squares += y * y;
        }
        const double mean = sum / m;
        const auto entropy = [](double p) { return p > 0 ? -p * std::log(p) : 0.0; };
        switch (planned.recipe.loss) {
            case Loss::mean_squared_error:
                cost += (squares / m - mean * mean) / static_cast<double>(data.outputs);
                break;
            case Loss::softmax_cross_entropy:
                cost += entropy(mean);
                break;
            case Loss::sigmoid_cross_entropy:
                cost += (entropy(mean) + entropy(1 - mean)) / static_cast<double>(data.outputs);
                break;
        }
    }
    return cost;
}

void lay_out_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks) {
    for (const PlannedNetwork& planned : networks) {
        if (!has_statistics(planned)) continue;
        const Index snapshots = planned.snapshots();
        file.create_group(planned.name + "/statistics");
        for (const char* column : statistics_columns)
            file.create_dataset<double>(inside(planned, column), {snapshots, 5});
        for (const char* name : {"failed", "untrained"})
            file.create_dataset<double>(inside(planned, name), {3});
        file.create_dataset<double>(inside(planned, "alpha_against_cost"), {cost_bins, 6});
        std::vector<double> grid;
        for (Index t = 0; t < tolerances; ++t) grid.push_back(tolerance(t));
        file.write(inside(planned, "tau"), {tolerances}, grid);
        for (const char* name : {"alpha_of_tau", "gamma_of_tau"})
            file.create_dataset<double>(inside(planned, name), {tolerances, 3});
    }
    for (const auto& [network, other] : comparable(networks)) {
        const std::string group = inside(networks[network], "paired");
        if (!file.exists(group)) file.create_group(group);
        file.create_dataset<double>(group + "/" + networks[other].name, {column_count, 6});
    }
}

double statistics_size(const std::vector<PlannedNetwork>& networks) {
    double numbers = 0;
    for (const PlannedNetwork& planned : networks)
        if (has_statistics(planned))
            numbers += static_cast<double>(column_count * planned.snapshots() * 5 + 2 * 3 + cost_bins * 6 +
                                           tolerances * 7);
    return numbers + static_cast<double>(std::ssize(comparable(networks)) * column_count * 6);
}

RunStatistics write_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks) {
    RunStatistics run;
    Statistics statistics;
    std::vector<std::vector<double>> last_costs;
    std::map<std::size_t, std::vector<std::vector<double>>> last_columns;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = networks[n];
        if (!has_statistics(planned)) continue;
        const Records records(file, planned);
        CombinationStatistics& combination = run.combinations.emplace_back();
        combination.network = n;
        write_quartiles(file, planned, records, statistics, combination);
        write_fractions(file, planned, records, combination);
        write_alpha_against_cost(file, planned, records);
        write_indices_by_tolerance(file, planned);
        for (std::size_t c = 0; c < statistics_columns.size(); ++c)
            last_columns[n].push_back(records.at(c, planned.snapshots() - 1));
        last_costs.push_back(last_columns[n][Records::cost_column]);
    }
    for (const auto& [network, other] : comparable(networks)) {
        ActivationComparison comparison{.network = network, .other = other};
        std::vector<double> rows;
        for (std::size_t c = 0; c < statistics_columns.size(); ++c) {
            comparison.columns[c] =
                compare_pairs(last_columns[network][c], last_columns[other][c], statistics);
            append(rows, comparison.columns[c].difference);
            append(rows, comparison.columns[c].lower);
        }
        file.write_slab(inside(networks[network], "paired/" + networks[other].name), {0, 0},
                        {column_count, 6}, rows.data());
        run.comparisons.push_back(comparison);
    }
    if (!networks.empty()) run.consistency = consistency(networks, run, last_costs, statistics);
    return run;
}

std::string statistics_text(const RunStatistics& statistics, const std::vector<PlannedNetwork>& networks,
                            std::size_t most_rows) {
    if (statistics.combinations.empty()) return {};
    std::string text;
    const auto append_rows = [&](const auto& items, auto&& row) {
        std::size_t rows = 0;
        for (const auto& item : items) {
            if (rows == most_rows) {
                text += "…\n";
                break;
            }
            const std::string line = row(item);
            rows += line.empty() ? 0 : 1;
            text += line;
        }
    };
    constexpr std::size_t cost = 0, accuracy = 1, alpha = 4, gamma = 5;
    std::size_t width = 7;
    for (const CombinationStatistics& one : statistics.combinations)
        width = std::max(width, networks[one.network].name.size());
    const bool losses = std::ranges::any_of(statistics.combinations, [](const CombinationStatistics& one) {
        return one.failed.value > 0 || one.untrained.value > 0;
    });
    text += fmt::format(
        "medians over replicas at the last epoch, with bootstrap 95 % intervals\n"
        "{:<{}} {:>31} {:>14} {:>23} {:>23}{}\n",
        "network", width, "cost", "accuracy_train", "alpha", "gamma", losses ? "  failed untrained" : "");
    append_rows(statistics.combinations, [&](const CombinationStatistics& one) {
        return fmt::format(
            "{:<{}} {:>31} {:>14.4f} {:>23} {:>23}{}\n", networks[one.network].name, width,
            interval_text(one.columns[cost].median, "{:.2e}"), one.columns[accuracy].median.value,
            interval_text(one.columns[alpha].median, "{:.3f}"),
            interval_text(one.columns[gamma].median, "{:.3f}"),
            losses ? fmt::format(" {:>7.3f} {:>9.3f}", one.failed.value, one.untrained.value) : "");
    });
    if (!statistics.comparisons.empty()) {
        text += fmt::format(
            "\nover the same seeds: median difference to another activation, and the fraction of "
            "seeds with a lower cost\n{:<{}} {:>12} {:>31} {:>20} {:>23} {:>23}\n",
            "network", width, "less", "cost", "lower", "alpha", "gamma");
        append_rows(statistics.comparisons, [&](const ActivationComparison& one) -> std::string {
            if (one.network > one.other) return {};  // the same the other way round
            return fmt::format("{:<{}} {:>12} {:>31} {:>20} {:>23} {:>23}\n", networks[one.network].name,
                               width, networks[one.other].network.activations_text(),
                               interval_text(one.columns[cost].difference, "{:.2e}"),
                               interval_text(one.columns[cost].lower, "{:.2f}"),
                               interval_text(one.columns[alpha].difference, "{:.3f}"),
                               interval_text(one.columns[gamma].difference, "{:.3f}"));
        });
    }
    if (!statistics.consistency.empty()) {
        text += fmt::format(
            "\nover architectures: cost of all networks, and what the architecture does to its "
            "median\n{:<{}} {:>31} {:>21} {:>31} {:>23}\n",
            "first network", width, "median", "quartiles", "worst - best median", "untrained or failed");
        append_rows(statistics.consistency, [&](const Consistency& one) {
            return fmt::format(
                "{:<{}} {:>31} {:>10.2e} {:>10.2e} {:>31} {:>23}\n",
                fmt::format("{} + {}", networks[one.networks.front()].name, one.networks.size() - 1), width,
                interval_text(one.cost.median, "{:.2e}"), one.cost.first, one.cost.third,
                interval_text(one.spread_of_medians, "{:.2e}"), interval_text(one.untrained, "{:.3f}"));
        });
    }
    return text;
}

}  // namespace espectra
