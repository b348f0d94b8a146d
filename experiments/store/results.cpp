#include "espectra/experiments/store/results.hpp"

#include "espectra/experiments/store/network_group.hpp"
#include "espectra/experiments/store/schema.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <limits>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Counts additions to the format that leave older readers working (docs/file-formats.md).
constexpr std::int64_t format_revision = 1;

/// Returns the name of the state padded to one length, so that it is overwritten in place.
std::string state_text(RunState state) { return fmt::format("{:<11}", run_state_name(state)); }

/// Throws ResourceError if the disk of this folder is too small.
void require_space(const std::filesystem::path& folder, std::size_t needed) {
    std::error_code error;
    const auto space = std::filesystem::space(folder, error);
    if (!error && space.available < needed)
        throw ResourceError(fmt::format("{}: the results need {:.3f} GB, {:.3f} GB free on this disk",
                                        folder.string(), static_cast<double>(needed) / 1e9,
                                        static_cast<double>(space.available) / 1e9));
}

Attributes file_attributes(const Experiment& experiment, const std::string& device,
                           const std::string& versions) {
    const auto now = fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
    return {{"format", "espectra results 1"},
            {"format_revision", format_revision},
            {"title", experiment.title},
            {"recipe", experiment.text},
            {"recipe_path", experiment.path},
            {"versions", versions},
            {"device", device},
            {"start", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", now)},
            {"state", state_text(RunState::running)},
            {"wall_seconds", nan}};
}

/// Gives networks the names of their groups in a file of revision 0.
void adopt_older_names(const Hdf5File& file, std::vector<PlannedNetwork>& networks) {
    if (file.has_attribute("/", "format_revision")) return;
    for (PlannedNetwork& planned : networks) planned.name = planned.older_name;
}

}  // namespace

const char* run_state_name(RunState state) {
    switch (state) {
        case RunState::running:
            return "running";
        case RunState::interrupted:
            return "interrupted";
        case RunState::diverged:
            return "diverged";
        case RunState::complete:
            break;
    }
    return "complete";
}

ResultsFile::ResultsFile(FolderLock lock, std::filesystem::path folder, std::vector<PlannedNetwork> networks,
                         Hdf5File file)
    : lock_(std::move(lock)),
      folder_(std::move(folder)),
      networks_(std::move(networks)),
      file_(std::move(file)) {
    for (const PlannedNetwork& planned : networks_) {
        const Index replicas = planned.recipe.replicas;
        complete_.emplace_back(static_cast<std::size_t>(replicas * planned.snapshots()), false);
        searched_.emplace_back(static_cast<std::size_t>(replicas * planned.recipe.critical_points.count()),
                               false);
    }
}

std::size_t ResultsFile::bytes(const std::vector<PlannedNetwork>& networks) {
    return bytes_of_networks(networks);
}

ResultsFile ResultsFile::create(const std::filesystem::path& folder, const Experiment& experiment,
                                const std::vector<PlannedNetwork>& networks, const std::string& device,
                                const std::string& versions) {
    FolderLock lock(folder);
    for (const auto& path : {partial_path(folder), final_path(folder)})
        if (std::filesystem::exists(path)) throw InputError(fmt::format("{}: already exists", path.string()));
    require_space(folder, bytes(networks));
    const std::filesystem::path path = folder / "results.h5.new";
    std::error_code error;
    std::filesystem::remove(path, error);  // of a process that ended before it was laid out
    try {
        ResultsFile results(std::move(lock), folder, networks, Hdf5File::create(path));
        Hdf5File& file = results.file_;
        file.set_attributes("/", file_attributes(experiment, device, versions));
        lay_out_networks(file, networks);
        // Closed once, the file has its final size: closing it after the run changes nothing but attributes,
        // and at no moment is it shorter than its header says.
        file.close();
        std::filesystem::rename(path, partial_path(folder));
        file = Hdf5File::open_for_update(partial_path(folder));
        return results;
    } catch (...) {
        std::filesystem::remove(path, error);
        throw;
    }
}

ResultsFile ResultsFile::resume(const std::filesystem::path& folder, const Experiment& experiment,
                                const std::vector<PlannedNetwork>& networks) {
    FolderLock lock(folder);
    const bool partial = std::filesystem::exists(partial_path(folder));
    const auto path = partial ? partial_path(folder) : final_path(folder);
    ResultsFile results(std::move(lock), folder, networks, Hdf5File::open_for_update(path));
    Hdf5File& file = results.file_;
    if (file.attribute_string("/", "recipe") != experiment.text)
        throw InputError(fmt::format("{}: was made from another recipe than {}; choose another --output",
                                     path.string(), experiment.path));
    for (const double seconds : file.attribute<double>("/", "wall_seconds"))
        if (!std::isnan(seconds)) results.earlier_seconds_ += seconds;
    adopt_older_names(file, results.networks_);
    bool added = false;
    for (const PlannedNetwork& planned : results.networks_) {
        require_network(file, planned, experiment.path);
        added = add_later_datasets(file, planned) || added;
    }
    if (added) {  // the file has its final size from here on, as in create()
        file.close();
        file = Hdf5File::open_for_update(path);
    }
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = results.networks_[n];
        results.complete_[n] = complete_records(file, planned.name, snapshot_marker, planned);
        results.searched_[n] = complete_critical_points(file, planned);
    }
    file.set_attribute("/", "state", state_text(RunState::running));
    file.flush();
    return results;
}

bool ResultsFile::complete(std::size_t network, Index replica, Index snapshot) const {
    return complete_[network][static_cast<std::size_t>(replica * networks_[network].snapshots() + snapshot)];
}

void ResultsFile::write(std::size_t network, Index replica, Index snapshot, const SnapshotRecord& record) {
    write_neighbours(network, replica, snapshot, {&record, 1});
}

void ResultsFile::write(std::size_t network, std::span<const Index> replicas, Index snapshot,
                        std::span<const SnapshotRecord> records) {
    for (std::size_t first = 0, end = 0; first < replicas.size(); first = end) {
        for (end = first + 1; end < replicas.size() && replicas[end] == replicas[end - 1] + 1;) ++end;
        write_neighbours(network, replicas[first], snapshot, records.subspan(first, end - first));
    }
}

void ResultsFile::write_neighbours(std::size_t network, Index first, Index snapshot,
                                   std::span<const SnapshotRecord> records) {
    const PlannedNetwork& planned = networks_[network];
    const auto write = [&](const Column<SnapshotRecord>& column) {
        if (column.condition.holds(planned))
            write_column(file_, planned.name, column, planned, first, snapshot, records);
    };
    for (const Column<SnapshotRecord>& column : snapshot_columns)
        if (&column != &snapshot_marker) write(column);
    write(snapshot_marker);
    for (Index i = 0; i < std::ssize(records); ++i)
        complete_[network][static_cast<std::size_t>((first + i) * planned.snapshots() + snapshot)] = true;
}

std::vector<double> ResultsFile::theta(std::size_t network, Index replica, Index snapshot) const {
    return file_.read_slab<double>(networks_[network].name + "/theta", {replica, snapshot}, {1, 1});
}

bool ResultsFile::critical_point_complete(std::size_t network, Index replica, Index index) const {
    const Index count = networks_[network].recipe.critical_points.count();
    return searched_[network][static_cast<std::size_t>(replica * count + index)];
}

void ResultsFile::write_critical_point(std::size_t network, Index replica, Index index,
                                       const CriticalPointRecord& record) {
    const PlannedNetwork& planned = networks_[network];
    espectra::write_critical_point(file_, planned, replica, index, record);
    searched_[network][static_cast<std::size_t>(replica * planned.recipe.critical_points.count() + index)] =
        true;
}

std::vector<CriticalPointSummary> ResultsFile::summarize_critical_points() {
    std::vector<CriticalPointSummary> summaries;
    for (const PlannedNetwork& planned : networks_)
        summaries.push_back(espectra::summarize_critical_points(file_, planned));
    return summaries;
}

void ResultsFile::write_initial(std::size_t network, Index replica, const std::vector<double>& theta) {
    const PlannedNetwork& planned = networks_[network];
    file_.write_slab(planned.name + "/theta_initial", {replica, 0}, {1, planned.network.parameters()},
                     theta.data());
}

void ResultsFile::write_training_seconds(std::size_t network, Index replica, double seconds) {
    file_.write_slab(networks_[network].name + "/seconds_training", {replica}, {1}, &seconds);
}

std::vector<SummaryRow> ResultsFile::summary() const { return summarize(file_, networks_); }

RunStatistics ResultsFile::write_statistics() { return espectra::write_statistics(file_, networks_); }

std::filesystem::path ResultsFile::finish(RunState state, double wall_seconds) {
    file_.set_attribute("/", "state", state_text(state));
    file_.set_attribute("/", "wall_seconds", earlier_seconds_ + wall_seconds);
    const auto path = file_.path();
    file_.close();
    const auto final = final_path(folder_);
    if (path != final) {
        std::error_code error;
        std::filesystem::rename(path, final, error);
        if (error)
            throw ResourceError(fmt::format("{}: cannot be renamed: {}", path.string(), error.message()));
    }
    return final;
}

}  // namespace espectra
