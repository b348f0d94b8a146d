#include "espectra/experiments/store/summary.hpp"

#include "espectra/experiments/store/network_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double median(std::vector<double> values) {
    std::erase_if(values, [](double v) { return std::isnan(v); });
    if (values.empty()) return nan;
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

double largest(const std::vector<double>& values) {
    double result = nan;
    for (const double v : values) result = std::fmax(result, v);
    return result;
}

double total(const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values)
        if (!std::isnan(v)) sum += v;
    return sum;
}

/// Reads the rows of one network.
class NetworkSummary {
  public:
    NetworkSummary(const Hdf5File& file, const PlannedNetwork& planned)
        : file_(&file),
          planned_(&planned),
          complete_(complete_records(file, planned.name, snapshot_marker, planned)),
          last_(planned.snapshots() - 1) {
        while (last_ >= 0 && !any_complete()) --last_;
    }

    SummaryRow row() const {
        SummaryRow row;
        row.name = planned_->name;
        row.activation = planned_->network.activations_text();
        row.seconds_training = total(read(seconds_training_dataset));
        for (const SummaryColumn column : SummaryColumn::all()) row.values[column] = value(column.column());
        if (last_ < 0) return row;
        row.epoch = planned_->epochs[static_cast<std::size_t>(last_)];
        std::vector<double> smallest, greatest;
        for (Index r = 0; r < planned_->recipe.replicas; ++r) {
            if (!complete(r)) continue;
            ++row.replicas;
            smallest.push_back(eigenvalue(r, 0));
            greatest.push_back(eigenvalue(r, planned_->network.parameters() - 1));
        }
        row.lambda_min = median(smallest);
        row.lambda_max = median(greatest);
        return row;
    }

  private:
    std::vector<double> read(const Dataset& dataset) const {
        return file_->read<double>(fmt::format("{}/{}", planned_->name, dataset.name));
    }
    /// Returns true if this replica has a record at the last epoch that has any.
    bool complete(Index replica) const {
        return complete_[static_cast<std::size_t>(replica * planned_->snapshots() + last_)];
    }
    bool any_complete() const {
        for (Index r = 0; r < planned_->recipe.replicas; ++r)
            if (complete(r)) return true;
        return false;
    }
    double value(const Column<SnapshotRecord>& column) const {
        switch (column.summary) {
            case Summary::median:
                return last_ < 0 ? 0 : median_of_last(read(column));
            case Summary::largest:
                return largest(read(column));
            case Summary::total:
                return total(read(column));
            case Summary::none:
                break;
        }
        return nan;
    }
    double median_of_last(const std::vector<double>& values) const {
        std::vector<double> last;
        for (Index r = 0; r < planned_->recipe.replicas; ++r)
            if (complete(r))
                last.push_back(values[static_cast<std::size_t>(r * planned_->snapshots() + last_)]);
        return median(last);
    }
    double eigenvalue(Index replica, Index index) const {
        return file_->read_slab<double>(planned_->name + "/eigenvalues", {replica, last_, index}, {1, 1, 1})
            .front();
    }

    const Hdf5File* file_;
    const PlannedNetwork* planned_;
    std::vector<bool> complete_;
    Index last_;  // epoch; −1: none
};

}  // namespace

std::vector<SummaryRow> summarize(const Hdf5File& file, const std::vector<PlannedNetwork>& networks) {
    std::vector<SummaryRow> rows;
    for (const PlannedNetwork& planned : networks) rows.push_back(NetworkSummary(file, planned).row());
    return rows;
}

}  // namespace espectra
