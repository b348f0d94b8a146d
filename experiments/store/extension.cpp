#include "espectra/experiments/store/extension.hpp"

#include "espectra/experiments/store/earlier_results.hpp"
#include "espectra/experiments/store/schema.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

namespace espectra {

namespace {

/// One group of records in two files, by replica and epoch.
struct RecordGroups {
    const Hdf5File& earlier;
    Hdf5File& file;
    std::string earlier_group, group;
    const PlannedNetwork& planned;

    /// Copies the records that are complete, whose marker is not NaN. `epochs`: of the group in the new file.
    template <class Columns>
    void copy(const Columns& columns, const Dataset& marker, const Dataset& epoch_dataset,
              const std::vector<std::int64_t>& epochs) const {
        if (!earlier.exists(earlier_group)) return;
        const auto there =
            earlier.read<std::int64_t>(fmt::format("{}/{}", earlier_group, epoch_dataset.name));
        const auto marks = earlier.read<double>(fmt::format("{}/{}", earlier_group, marker.name),
                                                {planned.recipe.replicas, std::ssize(there)});
        for (const auto& column : columns) {
            const std::string from = fmt::format("{}/{}", earlier_group, column.name);
            if (!column.condition.holds(planned) || !earlier.exists(from)) continue;
            std::vector<Index> begin(column.axes.size(), 0), count = extents(column, planned);
            count[0] = count[1] = 1;
            for (std::size_t i = 0; i < marks.size(); ++i) {
                if (std::isnan(marks[i])) continue;
                const Index replica = static_cast<Index>(i) / std::ssize(there);
                const Index place = static_cast<Index>(i) % std::ssize(there);
                begin[0] = replica;
                begin[1] =
                    std::ranges::lower_bound(epochs, there[static_cast<std::size_t>(place)]) - epochs.begin();
                const auto values = earlier.read_slab<double>(from, {replica, place}, {1, 1});
                file.write_slab(fmt::format("{}/{}", group, column.name), begin, count, values.data());
            }
        }
    }
};

}  // namespace

void copy_records(const Hdf5File& earlier, Hdf5File& file, const std::vector<PlannedNetwork>& networks) {
    const std::vector<std::string> groups = groups_by_combination(earlier);
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = networks[n];
        const std::string there = n < groups.size() ? groups[n] : planned.name;
        const std::string initial = fmt::format("{}/{}", there, theta_initial_dataset.name);
        const std::vector<Index> shape = extents(theta_initial_dataset, planned);
        if (!earlier.exists(initial) || earlier.extents(initial) != shape)
            throw InputError(fmt::format("{}: {}: another network than that of the recipe",
                                         earlier.path().string(), there));
        file.write_slab(fmt::format("{}/{}", planned.name, theta_initial_dataset.name), {0, 0}, shape,
                        earlier.read<double>(initial).data());
        RecordGroups{earlier, file, there, planned.name, planned}.copy(snapshot_columns, snapshot_marker,
                                                                       epoch_dataset, planned.epochs);
        RecordGroups{earlier, file, there + "/critical_points", planned.name + "/critical_points", planned}
            .copy(critical_point_columns, search_marker, search_epoch_dataset,
                  planned.recipe.critical_points.epochs);
    }
}

}  // namespace espectra
