#include "espectra/experiments/store/dataset.hpp"

#include "espectra/experiments/store/schema.hpp"

namespace espectra {

std::string_view axis_name(Axis axis) {
    switch (axis) {
        case Axis::replica:
            return "replica";
        case Axis::snapshot:
            return "snapshot";
        case Axis::parameter:
            return "parameter";
        case Axis::eigenvalue:
            return "eigenvalue";
        case Axis::search:
            return "search";
        case Axis::train_example:
            return "train_example";
        case Axis::test_example:
            return "test_example";
        case Axis::feature:
            return "feature";
        case Axis::output:
            return "output";
        case Axis::cost_bin:
            return "cost_bin";
        case Axis::tolerance:
            return "tolerance";
        case Axis::statistic:
            return "statistic";
        case Axis::quartiles:
            return "quartiles";
        case Axis::estimate:
            return "estimate";
        case Axis::bin_medians:
            return "bin_medians";
        case Axis::tolerance_quartiles:
            return "tolerance_quartiles";
        case Axis::comparison:
            break;
    }
    return "comparison";
}

std::span<const std::string_view> axis_entries(Axis axis) {
    static constexpr auto list = [](auto... names) { return std::array{std::string_view(names)...}; };
    static constexpr auto quartiles =
        list("median", "first_quartile", "third_quartile", "median_low", "median_high");
    static constexpr auto estimate = list("value", "low", "high");
    static constexpr auto bin_medians =
        list("cost", "alpha", "alpha_first_quartile", "alpha_third_quartile", "gamma", "records");
    static constexpr auto tolerance_quartiles = list("median", "first_quartile", "third_quartile");
    static constexpr auto comparison =
        list("difference", "difference_low", "difference_high", "lower", "lower_low", "lower_high");
    static constexpr auto statistics = [] {
        std::array<std::string_view, Statistic::count> names;
        for (const Statistic statistic : Statistic::all()) names[statistic.position()] = statistic.name();
        return names;
    }();
    switch (axis) {
        case Axis::statistic:
            return statistics;
        case Axis::quartiles:
            return quartiles;
        case Axis::estimate:
            return estimate;
        case Axis::bin_medians:
            return bin_medians;
        case Axis::tolerance_quartiles:
            return tolerance_quartiles;
        case Axis::comparison:
            return comparison;
        case Axis::replica:
        case Axis::snapshot:
        case Axis::parameter:
        case Axis::eigenvalue:
        case Axis::search:
        case Axis::train_example:
        case Axis::test_example:
        case Axis::feature:
        case Axis::output:
        case Axis::cost_bin:
        case Axis::tolerance:
            break;
    }
    return {};
}

Index extent(Axis axis, const PlannedNetwork& planned) {
    switch (axis) {
        case Axis::replica:
            return planned.recipe.replicas;
        case Axis::snapshot:
            return planned.snapshots();
        case Axis::parameter:
        case Axis::eigenvalue:
            return planned.network.parameters();
        case Axis::search:
            return planned.recipe.critical_points.count();
        case Axis::train_example:
            return planned.data->train_examples;
        case Axis::test_example:
            return planned.data->test_examples;
        case Axis::feature:
            return planned.data->features;
        case Axis::output:
            return planned.data->outputs;
        case Axis::cost_bin:
            return cost_bins;
        case Axis::tolerance:
            return tolerances;
        case Axis::statistic:
        case Axis::quartiles:
        case Axis::estimate:
        case Axis::bin_medians:
        case Axis::tolerance_quartiles:
        case Axis::comparison:
            break;
    }
    return std::ssize(axis_entries(axis));
}

std::vector<Index> extents(const Dataset& dataset, const PlannedNetwork& planned) {
    std::vector<Index> list;
    for (const Axis axis : dataset.axes) list.push_back(extent(axis, planned));
    return list;
}

double numbers_in(const Dataset& dataset, const PlannedNetwork& planned) {
    if (!dataset.condition.holds(planned)) return 0;
    double numbers = 1;  // a product of extents may not fit an integer
    for (const Axis axis : dataset.axes) numbers *= static_cast<double>(extent(axis, planned));
    return numbers;
}

void lay_out(Hdf5File& file, const std::string& group, const Dataset& dataset,
             const PlannedNetwork& planned) {
    if (!dataset.condition.holds(planned)) return;
    const std::string path = fmt::format("{}/{}", group, dataset.name);
    const std::vector<Index> shape = extents(dataset, planned);
    std::vector<std::string> axes;
    for (const Axis axis : dataset.axes) axes.emplace_back(axis_name(axis));
    Attributes attributes = {{"meaning", std::string(dataset.meaning)}, {"axes", axes}};
    if (dataset.statistics) attributes.emplace_back("statistics", std::int64_t{1});
    for (const Axis axis : dataset.axes)
        if (const auto names = axis_entries(axis); !names.empty())
            attributes.emplace_back(axis_name(axis), std::vector<std::string>(names.begin(), names.end()));
    switch (dataset.numbers) {
        case Numbers::float64:
            file.create_dataset<double>(path, shape, attributes);
            break;
        case Numbers::int64:
            file.create_dataset<std::int64_t>(path, shape, attributes);
            break;
    }
}

}  // namespace espectra
