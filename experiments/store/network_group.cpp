#include "espectra/experiments/store/network_group.hpp"

#include "espectra/experiments/store/critical_points.hpp"
#include "espectra/experiments/store/run_statistics.hpp"
#include "espectra/experiments/store/schema.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>

namespace espectra {

namespace {

/// Returns the attributes of a network's group.
Attributes network_attributes(const PlannedNetwork& planned) {
    const Recipe& recipe = planned.recipe;
    const TrainingSettings& training = recipe.training;
    const NetworkShape& shape = planned.network.shape();
    std::vector<std::string> swept_keys, swept_values;
    for (const auto& [key, value] : planned.swept) {
        swept_keys.push_back(key);
        swept_values.push_back(value);
    }
    return {
        {"widths", std::vector<std::int64_t>(shape.widths.begin(), shape.widths.end())},
        {"hidden_activation", planned.network.activations_text()},
        {"trainable_beta", std::int64_t{shape.trainable_beta}},
        {"fixed_beta", shape.fixed_beta},
        {"negative_slope", shape.negative_slope},
        {"loss", std::string(loss_name(shape.loss))},
        {"init", std::string(names_of(recipe.initial_weights.distribution).name)},
        {"sigma_w", recipe.initial_weights.sigma_w},
        {"sigma_b", recipe.initial_weights.sigma_b},
        {"optimizer", std::string(names_of(training.optimizer).name)},
        {"learning_rate", training.learning_rate},
        {"decay_rate", training.decay_rate},
        {"decay_steps", training.decay_steps},
        {"adam", std::vector<double>{training.beta1, training.beta2, training.epsilon}},
        {"epochs_total", std::int64_t{recipe.epochs}},
        {"seed", static_cast<std::int64_t>(recipe.seed)},
        {"data_seed", static_cast<std::int64_t>(recipe.data_seed)},
        {"data_source", planned.data->source},
        {"classes", std::int64_t{planned.data->classes}},
        {"swept_keys", swept_keys},
        {"swept_values", swept_values},
        {"variant", planned.variant},
        {"records", "cost, gradient and spectrum belong to theta after `epoch` updates"},
    };
}

/// Writes the examples of a network's data set, one row for each example.
void write_data(Hdf5File& file, const std::string& group, const PlannedNetwork& planned) {
    file.create_group(group);
    for (const Column<DataSet>& column : data_columns) {
        if (!column.condition.holds(planned)) continue;
        lay_out(file, group, column, planned);
        const std::vector<Index> shape = extents(column, planned);
        const std::vector<double> rows =
            transposed(std::get<1>(column.value)(*planned.data), shape[1], shape[0]);
        file.write_slab(fmt::format("{}/{}", group, column.name), {0, 0}, shape, rows.data());
    }
}

/// Calls visit(dataset) for each dataset of the group itself, those in its groups left out.
template <class Visit>
void for_each_dataset(Visit&& visit) {
    for (const Dataset* dataset : {&epoch_dataset, &theta_initial_dataset, &seconds_training_dataset})
        visit(*dataset);
    for (const Column<SnapshotRecord>& column : snapshot_columns) visit(column);
}

}  // namespace

void lay_out_networks(Hdf5File& file, const std::vector<PlannedNetwork>& networks) {
    std::map<const DataSet*, std::string> written;
    for (const PlannedNetwork& planned : networks) {
        file.create_group(planned.name, network_attributes(planned));
        std::string& data = written[planned.data.get()];
        if (data.empty())
            write_data(file, data = planned.name + "/data", planned);
        else
            file.link(data, planned.name + "/data");
        for_each_dataset([&](const Dataset& dataset) { lay_out(file, planned.name, dataset, planned); });
        file.write_slab(fmt::format("{}/{}", planned.name, epoch_dataset.name), {0}, {planned.snapshots()},
                        planned.epochs.data());
        lay_out_critical_points(file, planned);
    }
    lay_out_statistics(file, networks);
}

std::size_t bytes_of_networks(const std::vector<PlannedNetwork>& networks) {
    double numbers = statistics_size(networks);
    std::set<const DataSet*> counted;
    for (const PlannedNetwork& planned : networks) {
        for_each_dataset([&](const Dataset& dataset) { numbers += numbers_in(dataset, planned); });
        numbers += critical_points_size(planned);
        if (!counted.insert(planned.data.get()).second) continue;
        for (const Column<DataSet>& column : data_columns) numbers += numbers_in(column, planned);
    }
    return static_cast<std::size_t>(std::min(8.0 * numbers, 9e18));
}

void require_network(const Hdf5File& file, const PlannedNetwork& planned, const std::string& recipe) {
    const auto& theta = snapshot_columns[position_in(snapshot_columns, "theta")];
    if (file.extents(fmt::format("{}/{}", planned.name, theta.name)) != extents(theta, planned))
        throw InputError(fmt::format("{}: {}: another network than that of {}; choose another --output",
                                     file.path().string(), planned.name, recipe));
    for_each_dataset([&](const Dataset& dataset) {
        if (dataset.condition.holds(planned) && !dataset.later &&
            !file.exists(fmt::format("{}/{}", planned.name, dataset.name)))
            throw InputError(
                fmt::format("{}: {}: no dataset {}: made by an older version; choose another --output",
                            file.path().string(), planned.name, dataset.name));
    });
}

bool add_later_datasets(Hdf5File& file, const PlannedNetwork& planned) {
    bool added = false;
    for_each_dataset([&](const Dataset& dataset) {
        if (!dataset.later || !dataset.condition.holds(planned) ||
            file.exists(fmt::format("{}/{}", planned.name, dataset.name)))
            return;
        lay_out(file, planned.name, dataset, planned);
        added = true;
    });
    return added;
}

std::vector<bool> complete_records(const Hdf5File& file, const std::string& group, const Dataset& marker,
                                   const PlannedNetwork& planned) {
    std::vector<bool> complete;
    for (const double value :
         file.read<double>(fmt::format("{}/{}", group, marker.name), extents(marker, planned)))
        complete.push_back(!std::isnan(value));
    return complete;
}

}  // namespace espectra
