#include "espectra/experiments/store/run_statistics.hpp"

#include "espectra/experiments/store/comparable_networks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::string group_of(const PlannedNetwork& planned) { return planned.name + "/statistics"; }

/// Writes the whole of a dataset of the group.
void write(Hdf5File& file, const PlannedNetwork& planned, const Dataset& dataset,
           const std::vector<double>& values) {
    const std::vector<Index> shape = extents(dataset, planned);
    file.write_slab(fmt::format("{}/{}", group_of(planned), dataset.name),
                    std::vector<Index>(shape.size(), 0), shape, values.data());
}

/// Finds a dataset by its name; one that is not in the table does not compile.
consteval const Dataset& dataset_called(std::string_view name) {
    return statistics_datasets[position_in(statistics_datasets, name)];
}

std::string paired_name(const PlannedNetwork& other) { return fmt::format("paired/{}", other.name); }

/// Records of one combination, of the columns that have statistics.
class Records {
  public:
    Records(const Hdf5File& file, const PlannedNetwork& planned)
        : replicas_(planned.recipe.replicas), snapshots_(planned.snapshots()) {
        for (const Statistic column : Statistic::all())
            columns_[column] =
                file.read<double>(fmt::format("{}/{}", planned.name, column.name()), {replicas_, snapshots_});
    }
    /// Returns one value per replica; NaN where there is no record (α is written last).
    std::vector<double> at(Statistic column, Index snapshot) const {
        std::vector<double> values;
        for (Index r = 0; r < replicas_; ++r) {
            const auto i = static_cast<std::size_t>(r * snapshots_ + snapshot);
            values.push_back(std::isnan(columns_["alpha"][i]) ? nan : columns_[column][i]);
        }
        return values;
    }
    /// Returns the values of all replicas and epochs.
    const std::vector<double>& all(Statistic column) const { return columns_[column]; }

  private:
    Index replicas_, snapshots_;
    PerStatistic<std::vector<double>> columns_;
};

void append(std::vector<double>& row, const Estimate& estimate) {
    row.insert(row.end(), {estimate.value, estimate.low, estimate.high});
}

void append(std::vector<double>& row, const Quartiles& quartiles) {
    row.insert(row.end(), {quartiles.median.value, quartiles.first, quartiles.third, quartiles.median.low,
                           quartiles.median.high});
}

/// Writes the quartiles of each column, and keeps those of the last epoch.
void write_quartiles(Hdf5File& file, const PlannedNetwork& planned, const Records& records,
                     Statistics& statistics, CombinationStatistics& combination) {
    const Index snapshots = planned.snapshots();
    for (const Statistic column : Statistic::all()) {
        std::vector<double> rows;
        for (Index e = 0; e < snapshots; ++e) {
            const Quartiles quartiles = statistics.quartiles(records.at(column, e));
            append(rows, quartiles);
            if (e == snapshots - 1) combination.columns[column] = quartiles;
        }
        write(file, planned, quartiles_dataset(column), rows);
    }
}

void write_fractions(Hdf5File& file, const PlannedNetwork& planned, const Records& records,
                     CombinationStatistics& combination) {
    const std::vector<double> costs = records.at("cost", planned.snapshots() - 1);
    combination.constant_cost = constant_cost(planned);
    Index failed = 0, untrained = 0;
    for (const double cost : costs) {
        failed += std::isnan(cost);
        untrained += cost >= 0.99 * combination.constant_cost;
    }
    combination.failed = fraction(failed, std::ssize(costs));
    combination.untrained = fraction(untrained, std::ssize(costs) - failed);
    const auto row = [](const Estimate& e) { return std::vector<double>{e.value, e.low, e.high}; };
    write(file, planned, dataset_called("failed"), row(combination.failed));
    write(file, planned, dataset_called("untrained"), row(combination.untrained));
}

/// Writes medians of the records of all replicas and epochs in bins of equal numbers, by cost.
void write_alpha_against_cost(Hdf5File& file, const PlannedNetwork& planned, const Records& records) {
    const auto& cost = records.all("cost");
    const auto& alpha = records.all("alpha");
    const auto& gamma = records.all("gamma");
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
    write(file, planned, dataset_called("alpha_against_cost"), rows);
}

double tolerance(Index i) { return std::pow(10.0, -16.0 + 0.25 * static_cast<double>(i)); }

/// Writes median and quartiles of α(τ) and γ(τ) at the last epoch.
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
    const auto write_curves = [&](const Dataset& dataset, std::vector<std::vector<double>>& curves) {
        std::vector<double> rows;
        for (auto& values : curves) {
            std::ranges::sort(values);
            for (const double q : {0.5, 0.25, 0.75}) rows.push_back(quantile(values, q));
        }
        write(file, planned, dataset, rows);
    };
    write_curves(dataset_called("alpha_of_tau"), alpha);
    write_curves(dataset_called("gamma_of_tau"), gamma);
}

std::vector<Consistency> consistency(const std::vector<PlannedNetwork>& networks,
                                     const RunStatistics& statistics,
                                     const std::vector<std::vector<double>>& last_costs, Statistics& draws) {
    std::map<std::size_t, std::size_t> places;  // of networks among the combinations
    for (std::size_t i = 0; i < statistics.combinations.size(); ++i)
        places[statistics.combinations[i].network] = i;
    std::vector<Consistency> all;
    for (const auto& members : networks_by_architecture(networks)) {
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
            one.worst_median = std::fmax(one.worst_median, combination.columns["cost"].median.value);
        }
        one.untrained = fraction(untrained, replicas);
        one.spread_of_medians = draws.spread_of_medians(samples);
        one.cost = draws.pooled_quartiles(std::move(samples));
        all.push_back(std::move(one));
    }
    return all;
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
        file.create_group(group_of(planned));
        for (const Statistic column : Statistic::all())
            lay_out(file, group_of(planned), quartiles_dataset(column), planned);
        for (const Dataset& dataset : statistics_datasets) lay_out(file, group_of(planned), dataset, planned);
        std::vector<double> grid;
        for (Index t = 0; t < tolerances; ++t) grid.push_back(tolerance(t));
        write(file, planned, dataset_called("tau"), grid);
    }
    for (const auto& [network, other] : comparable_networks(networks)) {
        const std::string name = paired_name(networks[other]);
        lay_out(file, group_of(networks[network]), paired_dataset(name), networks[network]);
    }
}

double statistics_size(const std::vector<PlannedNetwork>& networks) {
    double numbers = 0;
    for (const PlannedNetwork& planned : networks) {
        if (!has_statistics(planned)) continue;
        for (const Statistic column : Statistic::all())
            numbers += numbers_in(quartiles_dataset(column), planned);
        for (const Dataset& dataset : statistics_datasets) numbers += numbers_in(dataset, planned);
    }
    for (const auto& [network, other] : comparable_networks(networks))
        numbers += numbers_in(paired_dataset(networks[other].name), networks[network]);
    return numbers;
}

RunStatistics write_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks) {
    RunStatistics run;
    Statistics statistics;
    std::vector<std::vector<double>> last_costs;
    std::map<std::size_t, PerStatistic<std::vector<double>>> last_columns;
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
        for (const Statistic column : Statistic::all())
            last_columns[n][column] = records.at(column, planned.snapshots() - 1);
        last_costs.push_back(last_columns[n]["cost"]);
    }
    for (const auto& [network, other] : comparable_networks(networks)) {
        ActivationComparison comparison{.network = network, .other = other, .columns = {}};
        std::vector<double> rows;
        for (const Statistic column : Statistic::all()) {
            comparison.columns[column] =
                compare_pairs(last_columns[network][column], last_columns[other][column], statistics);
            append(rows, comparison.columns[column].difference);
            append(rows, comparison.columns[column].lower);
        }
        const std::string name = paired_name(networks[other]);
        write(file, networks[network], paired_dataset(name), rows);
        run.comparisons.push_back(comparison);
    }
    if (!networks.empty()) run.consistency = consistency(networks, run, last_costs, statistics);
    return run;
}

}  // namespace espectra
