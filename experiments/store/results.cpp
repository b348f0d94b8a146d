#include "espectra/experiments/store/results.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// All of one length: overwritten in place.
std::string state_text(RunState state) { return fmt::format("{:<11}", run_state_name(state)); }

/// The per-epoch numbers of a record, in the order they are written.
struct Column {
    const char* name;
    double (*value)(const SnapshotRecord&);
};

// alpha comes last: a record that has it is complete.
constexpr Column columns[] = {
    {"cost", [](const SnapshotRecord& r) { return r.cost; }},
    {"gradient_norm", [](const SnapshotRecord& r) { return r.gradient_norm; }},
    {"accuracy_train", [](const SnapshotRecord& r) { return r.accuracy_train; }},
    {"accuracy_test", [](const SnapshotRecord& r) { return r.accuracy_test; }},
    {"zero_residuals", [](const SnapshotRecord& r) { return r.zero_residuals; }},
    {"gamma", [](const SnapshotRecord& r) { return r.spectrum.gamma; }},
    {"gamma_dead", [](const SnapshotRecord& r) { return r.spectrum.gamma_dead; }},
    {"gamma_dead_inputs", [](const SnapshotRecord& r) { return r.spectrum.gamma_dead_inputs; }},
    {"gamma_dead_units", [](const SnapshotRecord& r) { return r.spectrum.gamma_dead_units; }},
    {"gamma_symmetry", [](const SnapshotRecord& r) { return r.spectrum.gamma_symmetry; }},
    {"gamma_numerical", [](const SnapshotRecord& r) { return r.spectrum.gamma_numerical; }},
    {"tau", [](const SnapshotRecord& r) { return r.spectrum.tolerance; }},
    {"trace", [](const SnapshotRecord& r) { return r.spectrum.trace; }},
    {"frobenius", [](const SnapshotRecord& r) { return r.spectrum.frobenius; }},
    {"trace_error", [](const SnapshotRecord& r) { return r.spectrum.trace_error; }},
    {"symmetry_residual", [](const SnapshotRecord& r) { return r.spectrum.symmetry_residual; }},
    {"seconds_hessian", [](const SnapshotRecord& r) { return r.spectrum.seconds_hessian; }},
    {"seconds_eigen", [](const SnapshotRecord& r) { return r.spectrum.seconds_eigen; }},
    {"alpha", [](const SnapshotRecord& r) { return r.spectrum.alpha; }},
};

/// Data sets of a group beside the columns: name and extents after (R, E).
std::vector<std::pair<std::string, std::vector<Index>>> array_datasets(const PlannedNetwork& planned) {
    const Index p = planned.network.parameters();
    std::vector<std::pair<std::string, std::vector<Index>>> list = {{"theta", {p}}, {"eigenvalues", {p}}};
    if (planned.recipe.spectrum.gauss_newton) list.push_back({"eigenvalues_gauss_newton", {p}});
    if (planned.recipe.spectrum.eigenvectors) {
        list.push_back({"inverse_participation_ratio", {p}});
        list.push_back({"eigenvectors", {p, p}});
    }
    return list;
}

void write_data(Hdf5File& file, const std::string& group, const DataSet& data) {
    file.create_group(group);
    const auto write = [&](const char* name, const std::vector<double>& values, Index units, Index examples) {
        if (examples > 0)
            file.write(group + "/" + name, {examples, units}, transposed(values, units, examples));
    };
    write("X_train", data.x_train, data.features, data.train_examples);
    write("Y_train", data.y_train, data.outputs, data.train_examples);
    write("X_test", data.x_test, data.features, data.test_examples);
    write("Y_test", data.y_test, data.outputs, data.test_examples);
}

void write_attributes(Hdf5File& file, const PlannedNetwork& planned) {
    const Recipe& recipe = planned.recipe;
    const NetworkShape& shape = planned.network.shape();
    const auto number = [&](const char* name, double value) {
        file.set_attribute(planned.name, name, value);
    };
    const auto integer = [&](const char* name, std::int64_t value) {
        file.set_attribute(planned.name, name, value);
    };
    file.set_attribute(planned.name, "widths",
                       std::vector<std::int64_t>(shape.widths.begin(), shape.widths.end()));
    file.set_attribute(planned.name, "hidden_activation", planned.network.activations_text());
    integer("trainable_beta", shape.trainable_beta ? 1 : 0);
    number("fixed_beta", shape.fixed_beta);
    number("negative_slope", shape.negative_slope);
    file.set_attribute(planned.name, "loss", std::string(loss_name(shape.loss)));
    file.set_attribute(planned.name, "optimizer",
                       recipe.training.optimizer == Optimizer::adam ? "adam" : "gradient_descent");
    number("learning_rate", recipe.training.learning_rate);
    number("decay_rate", recipe.training.decay_rate);
    number("decay_steps", recipe.training.decay_steps);
    file.set_attribute(
        planned.name, "adam",
        std::vector<double>{recipe.training.beta1, recipe.training.beta2, recipe.training.epsilon});
    integer("epochs_total", recipe.epochs);
    integer("seed", static_cast<std::int64_t>(recipe.seed));
    integer("data_seed", static_cast<std::int64_t>(recipe.data_seed));
    file.set_attribute(planned.name, "data_source", planned.data->source);
    integer("classes", planned.data->classes);
    file.set_attribute(planned.name, "records",
                       "cost, gradient and spectrum belong to theta after `epoch` updates");
}

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
    double doubles = statistics_size(networks);  // a product of extents may not fit an integer
    std::map<const DataSet*, bool> seen;
    for (const PlannedNetwork& planned : networks) {
        double row = std::size(columns);
        for (const auto& [name, extents] : array_datasets(planned)) {
            double size = 1;
            for (const Index extent : extents) size *= static_cast<double>(extent);
            row += size;
        }
        const auto replicas = static_cast<double>(planned.recipe.replicas);
        doubles += replicas * static_cast<double>(planned.snapshots()) * row +
                   replicas * static_cast<double>(planned.network.parameters()) +
                   critical_points_size(planned);
        const DataSet& data = *planned.data;
        if (!seen[&data])
            doubles += static_cast<double>(data.x_train.size() + data.y_train.size() + data.x_test.size() +
                                           data.y_test.size());
        seen[&data] = true;
    }
    return static_cast<std::size_t>(std::min(8.0 * doubles, 9e18));
}

ResultsFile ResultsFile::create(const std::filesystem::path& folder, const Experiment& experiment,
                                const std::vector<PlannedNetwork>& networks, const std::string& device,
                                const std::string& versions) {
    FolderLock lock(folder);
    for (const auto& path : {partial_path(folder), final_path(folder)})
        if (std::filesystem::exists(path)) throw InputError(fmt::format("{}: already exists", path.string()));
    std::error_code error;
    const auto space = std::filesystem::space(folder, error);
    const std::size_t needed = bytes(networks);
    if (!error && space.available < needed)
        throw ResourceError(fmt::format("{}: the results need {:.3f} GB, {:.3f} GB free on this disk",
                                        folder.string(), static_cast<double>(needed) / 1e9,
                                        static_cast<double>(space.available) / 1e9));
    const std::filesystem::path path = folder / "results.h5.new";
    std::filesystem::remove(path, error);  // of a process that ended before it was laid out
    try {
        ResultsFile results(std::move(lock), folder, networks, Hdf5File::create(path));
        Hdf5File& file = results.file_;
        file.set_attribute("/", "format", "espectra results 1");
        file.set_attribute("/", "title", experiment.title);
        file.set_attribute("/", "recipe", experiment.text);
        file.set_attribute("/", "recipe_path", experiment.path);
        file.set_attribute("/", "versions", versions);
        file.set_attribute("/", "device", device);
        file.set_attribute(
            "/", "start",
            fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                        fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()))));
        file.set_attribute("/", "state", state_text(RunState::running));
        file.set_attribute("/", "wall_seconds", nan);

        std::map<const DataSet*, std::string> written;
        for (const PlannedNetwork& planned : networks) {
            const Index r = planned.recipe.replicas, e = planned.snapshots(),
                        p = planned.network.parameters();
            const auto name = [&](const std::string& dataset) { return planned.name + "/" + dataset; };
            file.create_group(planned.name);
            write_attributes(file, planned);
            std::string& data = written[planned.data.get()];
            if (data.empty())
                write_data(file, data = name("data"), *planned.data);
            else
                file.link(data, name("data"));
            file.write(name("epoch"), {e}, planned.epochs);
            file.create_dataset<double>(name("theta_initial"), {r, p});
            file.create_dataset<double>(name("seconds_training"), {r});
            for (const Column& column : columns) file.create_dataset<double>(name(column.name), {r, e});
            for (const auto& [dataset, extents] : array_datasets(planned)) {
                std::vector<Index> all = {r, e};
                all.insert(all.end(), extents.begin(), extents.end());
                file.create_dataset<double>(name(dataset), all);
            }
            create_critical_points(file, planned);
        }
        lay_out_statistics(file, networks);
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
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = networks[n];
        const Index r = planned.recipe.replicas, e = planned.snapshots();
        if (file.extents(planned.name + "/theta") != std::vector<Index>{r, e, planned.network.parameters()})
            throw InputError(fmt::format("{}: {}: another network than that of {}; choose another --output",
                                         path.string(), planned.name, experiment.path));
        for (const Column& column : columns)
            if (!file.exists(planned.name + "/" + column.name))
                throw InputError(
                    fmt::format("{}: {}: no dataset {}: made by an older version; choose another --output",
                                path.string(), planned.name, column.name));
        const auto alpha = file.read<double>(planned.name + "/alpha", {r, e});
        for (std::size_t i = 0; i < alpha.size(); ++i) results.complete_[n][i] = !std::isnan(alpha[i]);
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
    const Index replicas = std::ssize(records);
    std::vector<double> gathered;
    for (const auto& [dataset, extents] : array_datasets(planned)) {
        const auto values_of = [&](const SnapshotRecord& record) -> const std::vector<double>& {
            return dataset == "theta"                         ? record.theta
                   : dataset == "eigenvalues"                 ? record.spectrum.eigenvalues
                   : dataset == "eigenvalues_gauss_newton"    ? record.spectrum.gauss_newton
                   : dataset == "inverse_participation_ratio" ? record.spectrum.participation
                                                              : record.spectrum.eigenvectors;
        };
        const auto write_slab = [&](Index replica, Index count, const double* values) {
            std::vector<Index> begin = {replica, snapshot}, counts = {count, 1};
            begin.resize(2 + extents.size(), 0);
            counts.insert(counts.end(), extents.begin(), extents.end());
            file_.write_slab(planned.name + "/" + dataset, begin, counts, values);
        };
        if (replicas == 1 || extents.size() > 1) {  // eigenvectors are too large to be gathered
            for (Index i = 0; i < replicas; ++i)
                write_slab(first + i, 1, values_of(records[static_cast<std::size_t>(i)]).data());
            continue;
        }
        gathered.clear();
        for (const SnapshotRecord& record : records)
            gathered.insert(gathered.end(), values_of(record).begin(), values_of(record).end());
        write_slab(first, replicas, gathered.data());
    }
    for (const Column& column : columns) {
        gathered.clear();
        for (const SnapshotRecord& record : records) gathered.push_back(column.value(record));
        file_.write_slab(planned.name + "/" + column.name, {first, snapshot}, {replicas, 1}, gathered.data());
    }
    for (Index i = 0; i < replicas; ++i)
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

std::vector<SummaryRow> ResultsFile::summary() const {
    std::vector<SummaryRow> rows;
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        const PlannedNetwork& planned = networks_[n];
        const Index replicas = planned.recipe.replicas, snapshots = planned.snapshots();
        const auto read = [&](const char* name) { return file_.read<double>(planned.name + "/" + name); };
        SummaryRow row;
        row.name = planned.name;
        row.activation = planned.network.activations_text();
        row.seconds_training = total(read("seconds_training"));
        row.seconds_hessian = total(read("seconds_hessian"));
        row.seconds_eigen = total(read("seconds_eigen"));
        row.trace_error = largest(read("trace_error"));
        row.symmetry_residual = largest(read("symmetry_residual"));
        Index last = snapshots - 1;
        const auto finished = [&](Index replica) { return last >= 0 && complete(n, replica, last); };
        const auto any_finished = [&] {
            for (Index r = 0; r < replicas; ++r)
                if (finished(r)) return true;
            return false;
        };
        while (last >= 0 && !any_finished()) --last;
        if (last >= 0) {
            row.epoch = planned.epochs[static_cast<std::size_t>(last)];
            const auto over_replicas = [&](const char* name) {
                const std::vector<double> values = read(name);
                std::vector<double> column;
                for (Index r = 0; r < replicas; ++r)
                    if (finished(r)) column.push_back(values[static_cast<std::size_t>(r * snapshots + last)]);
                row.replicas = std::ssize(column);
                return median(column);
            };
            row.cost = over_replicas("cost");
            row.accuracy_train = over_replicas("accuracy_train");
            row.accuracy_test = over_replicas("accuracy_test");
            row.alpha = over_replicas("alpha");
            row.gamma = over_replicas("gamma");
            row.gamma_dead = over_replicas("gamma_dead");
            std::vector<double> smallest, greatest;
            for (Index r = 0; r < replicas; ++r) {
                if (!finished(r)) continue;
                const auto eigenvalue = [&](Index index) {
                    return file_.read_slab<double>(planned.name + "/eigenvalues", {r, last, index}, {1, 1, 1})
                        .front();
                };
                smallest.push_back(eigenvalue(0));
                greatest.push_back(eigenvalue(planned.network.parameters() - 1));
            }
            row.lambda_min = median(smallest);
            row.lambda_max = median(greatest);
        }
        rows.push_back(row);
    }
    return rows;
}

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
