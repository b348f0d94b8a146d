#include "espectra/experiments/run_statistics.hpp"

#include "espectra/experiments/results.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <tuple>

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

/// What two networks of a comparison have in common; β has a meaning for some activations only.
auto comparison_key(const PlannedNetwork& planned) {
    const Recipe& recipe = planned.recipe;
    const TrainingSettings& training = recipe.training;
    return std::tuple(planned.data.get(), recipe.hidden, recipe.loss, training.optimizer,
                      training.learning_rate, training.decay_rate, training.decay_steps, training.beta1,
                      training.beta2, training.epsilon, recipe.epochs, planned.epochs, recipe.replicas,
                      recipe.seed);
}

/// Pairs of combinations that differ in their activation.
std::vector<std::pair<std::size_t, std::size_t>> comparable(const std::vector<PlannedNetwork>& networks) {
    std::map<decltype(comparison_key(networks.front())), std::vector<std::size_t>> groups;
    for (std::size_t n = 0; n < networks.size(); ++n)
        if (has_statistics(networks[n])) groups[comparison_key(networks[n])].push_back(n);
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (const auto& [key, members] : groups)
        for (const std::size_t a : members)
            for (const std::size_t b : members)
                if (networks[a].recipe.activations != networks[b].recipe.activations)
                    pairs.emplace_back(a, b);
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
    // All keys but the hidden layers; with one name of an activation for layers of any number.
    const auto key = [](const PlannedNetwork& planned) {
        const Recipe& recipe = planned.recipe;
        return std::tuple(recipe.source, recipe.data_seed, recipe.loss, recipe.training.optimizer,
                          recipe.training.learning_rate, recipe.epochs, recipe.replicas, recipe.seed,
                          recipe.trainable_beta, recipe.beta.mean, recipe.beta.standard_deviation,
                          planned.network.activations_text());
    };
    std::map<decltype(key(networks.front())), std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < statistics.combinations.size(); ++i)
        groups[key(networks[statistics.combinations[i].network])].push_back(i);
    std::vector<Consistency> all;
    for (const auto& [ignored, members] : groups) {
        if (members.size() < 2) continue;
        Consistency one;
        one.activation =
            networks[statistics.combinations[members.front()].network].network.activations_text();
        std::vector<std::vector<double>> samples;
        std::vector<double> pooled;
        Index untrained = 0;
        one.worst_median = -std::numeric_limits<double>::infinity();
        for (const std::size_t member : members) {
            const CombinationStatistics& combination = statistics.combinations[member];
            one.networks.push_back(combination.network);
            const auto& costs = last_costs[member];
            samples.push_back(costs);
            pooled.insert(pooled.end(), costs.begin(), costs.end());
            untrained += std::ranges::count_if(
                costs, [&](double cost) { return !(cost < 0.99 * combination.constant_cost); });
            one.worst_median =
                std::fmax(one.worst_median, combination.columns[Records::cost_column].median.value);
        }
        one.untrained = fraction(untrained, std::ssize(pooled));
        one.spread_of_medians = draws.spread_of_medians(std::move(samples));
        one.cost = draws.quartiles(std::move(pooled));
        all.push_back(std::move(one));
    }
    std::ranges::sort(all, {}, [](const Consistency& one) { return one.networks.front(); });
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

std::string statistics_text(const RunStatistics& statistics, const std::vector<PlannedNetwork>& networks) {
    if (statistics.combinations.empty()) return {};
    std::size_t width = 7;
    for (const CombinationStatistics& combination : statistics.combinations)
        width = std::max(width, networks[combination.network].name.size());
    std::string text = fmt::format(
        "medians over replicas at the last epoch, with bootstrap 95 % intervals\n{:<{}} {:>34} {:>24} {:>24} "
        "{:>24} "
        "{:>22} {:>22}\n",
        "network", width, "cost", "accuracy_train", "alpha", "gamma", "failed", "untrained");
    constexpr std::size_t cost = 0, accuracy = 1, alpha = 4, gamma = 5;
    for (const CombinationStatistics& one : statistics.combinations)
        text += fmt::format("{:<{}} {:>34} {:>24} {:>24} {:>24} {:>22} {:>22}\n", networks[one.network].name,
                            width, interval_text(one.columns[cost].median, "{:.3e}"),
                            interval_text(one.columns[accuracy].median, "{:.4f}"),
                            interval_text(one.columns[alpha].median, "{:.4f}"),
                            interval_text(one.columns[gamma].median, "{:.4f}"),
                            interval_text(one.failed, "{:.3f}"), interval_text(one.untrained, "{:.3f}"));
    if (!statistics.comparisons.empty()) {
        text +=
            "\nover the same seeds: median of the difference, and fraction of seeds where it is negative\n";
        for (const ActivationComparison& one : statistics.comparisons) {
            if (one.network > one.other) continue;  // the same the other way round
            text += fmt::format("{} - {}: cost {}, negative in {}; alpha {}; gamma {}\n",
                                networks[one.network].name, networks[one.other].name,
                                interval_text(one.columns[cost].difference, "{:.2e}"),
                                interval_text(one.columns[cost].lower, "{:.2f}"),
                                interval_text(one.columns[alpha].difference, "{:.3f}"),
                                interval_text(one.columns[gamma].difference, "{:.3f}"));
        }
    }
    if (!statistics.consistency.empty()) {
        text +=
            "\nover architectures: the cost of all networks, and what the architecture does to its median\n";
        for (const Consistency& one : statistics.consistency)
            text += fmt::format(
                "{} and {} more: median {}, quartiles {:.3e} to {:.3e}; worst minus best median {}; "
                "untrained or failed {}\n",
                networks[one.networks.front()].name, one.networks.size() - 1,
                interval_text(one.cost.median, "{:.3e}"), one.cost.first, one.cost.third,
                interval_text(one.spread_of_medians, "{:.3e}"), interval_text(one.untrained, "{:.3f}"));
    }
    return text;
}

}  // namespace espectra
