#include "espectra/experiments/store/recorded_run.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace espectra {

namespace {

void require_finite(const std::string& where, const std::vector<double>& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!std::isfinite(values[i]))
            throw InputError(
                fmt::format("{}: element {} is {}, expected a finite number", where, i, values[i]));
}

/// Reads attributes of one group with defaults.
struct GroupAttributes {
    const Hdf5File& file;
    std::string group;

    std::string place(const std::string& name) const {
        return fmt::format("{}: {}attribute {}", file.path().string(), group == "/" ? "" : group + ": ",
                           name);
    }
    double number(const std::string& name, double otherwise) const {
        if (!file.has_attribute(group, name)) return otherwise;
        const auto values = file.attribute<double>(group, name);
        if (values.size() != 1)
            throw InputError(fmt::format("{}: expected one number, got {}", place(name), values.size()));
        return values.front();
    }
    std::string text(const std::string& name, const std::string& otherwise) const {
        return file.has_attribute(group, name) ? file.attribute_string(group, name) : otherwise;
    }
};

/// Activations of the hidden layers; those of a network without one have no meaning and may be absent.
std::vector<Activation> read_activations(const GroupAttributes& attributes, std::size_t hidden_layers) {
    if (hidden_layers == 0) return {};
    const std::string text = attributes.file.attribute_string(attributes.group, "hidden_activation");
    std::vector<Activation> activations;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('-', begin), text.size());
        const auto activation = value_from_name<Activation>(text.substr(begin, end - begin));
        if (!activation)
            throw InputError(fmt::format("{}: expected {} (or several, joined by -), got \"{}\"",
                                         attributes.place("hidden_activation"), list_of_names<Activation>(),
                                         text));
        activations.push_back(*activation);
        begin = end + 1;
    }
    return activations;
}

Loss read_loss(const GroupAttributes& attributes) {
    const std::string key = attributes.file.has_attribute(attributes.group, "loss") ? "loss" : "output";
    const std::string text = attributes.text(key, std::string(loss_name(Loss::sigmoid_cross_entropy)));
    const auto loss = value_from_name<Loss>(text);
    if (!loss)
        throw InputError(
            fmt::format("{}: expected {}, got \"{}\"", attributes.place(key), list_of_names<Loss>(), text));
    return *loss;
}

Network read_network(const Hdf5File& file, const std::string& group) {
    const GroupAttributes attributes{file, group};
    NetworkShape shape;
    for (const std::int64_t width : file.attribute<std::int64_t>(group, "widths"))
        shape.widths.push_back(width);
    shape.hidden_activations =
        read_activations(attributes, std::max<std::size_t>(shape.widths.size(), 2) - 2);
    shape.trainable_beta = attributes.number("trainable_beta", 0) != 0;
    shape.fixed_beta = attributes.number("fixed_beta", shape.fixed_beta);
    shape.negative_slope = attributes.number("negative_slope", shape.negative_slope);
    shape.loss = read_loss(attributes);
    try {
        return Network(shape);
    } catch (const InputError& error) {
        throw InputError(fmt::format("{}: {}", file.path().string(), error.what()));
    }
}

TrainingSettings read_training(const Hdf5File& file, const std::string& group) {
    const GroupAttributes attributes{file, group};
    TrainingSettings training;
    training.learning_rate = attributes.number("learning_rate", training.learning_rate);
    training.decay_rate = attributes.number("decay_rate", training.decay_rate);
    training.decay_steps = attributes.number("decay_steps", training.decay_steps);
    const auto require_positive = [&](const char* name, double value) {
        if (!(value > 0 && std::isfinite(value)))
            throw InputError(
                fmt::format("{}: expected a number above 0, got {}", attributes.place(name), value));
    };
    require_positive("learning_rate", training.learning_rate);
    require_positive("decay_rate", training.decay_rate);
    require_positive("decay_steps", training.decay_steps);
    const std::string name = attributes.text("optimizer", std::string(names_of(training.optimizer).name));
    const auto optimizer = value_from_name<Optimizer>(name);
    if (!optimizer)
        throw InputError(fmt::format("{}: expected {}, got \"{}\"", attributes.place("optimizer"),
                                     list_of_names<Optimizer>(), name));
    training.optimizer = *optimizer;
    if (file.has_attribute(group, "adam")) {
        const auto adam = file.attribute<double>(group, "adam");
        if (adam.size() != 3)
            throw InputError(fmt::format("{}: expected 3 numbers (beta1, beta2, epsilon), got {}",
                                         attributes.place("adam"), adam.size()));
        training.beta1 = adam[0];
        training.beta2 = adam[1];
        training.epsilon = adam[2];
    }
    return training;
}

DataSet read_data(const Hdf5File& file, const std::string& data, const Network& network) {
    DataSet set;
    set.source = file.path().string();
    set.features = network.inputs();
    set.outputs = network.outputs();
    set.classes = network.outputs() == 1 ? 2 : network.outputs();
    const auto read = [&](const std::string& which, Index& examples, std::vector<double>& x,
                          std::vector<double>& y) {
        const std::string x_name = data + "/X_" + which, y_name = data + "/Y_" + which;
        if (which == "test" && (!file.exists(x_name) || !file.exists(y_name))) return;
        const auto rows_x = file.read<double>(x_name, {-1, network.inputs()});
        examples = static_cast<Index>(rows_x.size()) / network.inputs();
        const auto rows_y = file.read<double>(y_name, {examples, network.outputs()});
        require_finite(fmt::format("{}: {}", file.path().string(), x_name), rows_x);
        require_finite(fmt::format("{}: {}", file.path().string(), y_name), rows_y);
        x = transposed(rows_x, examples, network.inputs());
        y = transposed(rows_y, examples, network.outputs());
    };
    read("train", set.train_examples, set.x_train, set.y_train);
    read("test", set.test_examples, set.x_test, set.y_test);
    if (set.train_examples == 0)
        throw InputError(fmt::format("{}: {}/X_train: no examples", file.path().string(), data));
    return set;
}

}  // namespace

RecordedRun::RecordedRun(std::shared_ptr<Hdf5File> file, const std::string& group, Index replica,
                         bool results)
    : network(read_network(*file, group)),
      training(read_training(*file, group)),
      file_(std::move(file)),
      group_(group),
      replica_(replica),
      results_(results) {
    label = file_->path().string();
    if (results_) label += fmt::format(":{}[{}]", group_, replica_);
    data = read_data(*file_, name("data"), network);
    cost_before_update = !results_;
    const auto extents = file_->extents(name("theta"));
    single_theta_ = !results_ && extents.size() == 1;
    if (extents.size() != (single_theta_ ? 1 : results_ ? 3 : 2))
        throw InputError(fmt::format("{}: {}: expected snapshots x parameters, got {} axes",
                                     file_->path().string(), name("theta"), extents.size()));
    const Index snapshots = single_theta_ ? 1 : extents[results_ ? 1 : 0];
    if (file_->exists(name("epoch"))) {
        epoch = file_->read<std::int64_t>(name("epoch"), {snapshots});
    } else {
        epoch.resize(static_cast<std::size_t>(snapshots));
        std::iota(epoch.begin(), epoch.end(), std::int64_t{0});
    }
    for (const std::int64_t value : epoch)
        if (value < 0)
            throw InputError(fmt::format("{}: {}: expected at least 0, got {}", file_->path().string(),
                                         name("epoch"), value));
    check_shapes();
    if (!results_) return;
    // An interrupted run: the snapshots up to the first that is missing.
    const auto alpha = file_->read_slab<double>(name("alpha"), {replica_}, {1});
    std::size_t complete = 0;
    while (complete < alpha.size() && !std::isnan(alpha[complete])) ++complete;
    epoch.resize(std::min(epoch.size(), complete));
}

std::string RecordedRun::name(const std::string& dataset) const {
    return group_ == "/" ? dataset : group_ + "/" + dataset;
}

void RecordedRun::check_shapes() const {
    const Index p = network.parameters(), e = snapshots(), m = data.train_examples;
    const auto check = [&](const std::string& dataset, std::vector<Index> expected) {
        if (!file_->exists(name(dataset))) return;
        auto extents = file_->extents(name(dataset));
        if (results_ && !extents.empty()) extents.erase(extents.begin());
        if (extents != expected)
            throw InputError(fmt::format("{}: {}: expected {} for widths {} ({} parameters), got {}",
                                         file_->path().string(), name(dataset), fmt::join(expected, " x "),
                                         network.widths_text(), p, fmt::join(extents, " x ")));
    };
    check("theta", single_theta_ ? std::vector<Index>{p} : std::vector<Index>{e, p});
    check("theta_initial", {p});
    check("eigenvalues", {e, p});
    check("cost", {e});
    check("gamma", {e});
    check("gamma_dead", {e});
    check("alpha", {e});
    if (results_) return;
    check("hessian", {e, p, p});
    check("residual", {e, 1, m});
}

bool RecordedRun::has(const std::string& dataset) const { return file_->exists(name(dataset)); }

std::vector<double> RecordedRun::row(const std::string& dataset, Index k) const {
    const std::vector<double> values = results_
                                           ? file_->read_slab<double>(name(dataset), {replica_, k}, {1, 1})
                                       : single_theta_ ? file_->read<double>(name(dataset))
                                                       : file_->read_slab<double>(name(dataset), {k}, {1});
    require_finite(fmt::format("{}: {}: snapshot {}", file_->path().string(), name(dataset), k), values);
    return values;
}

std::vector<double> RecordedRun::theta_initial() const {
    auto theta = results_ ? file_->read_slab<double>(name("theta_initial"), {replica_}, {1})
                          : file_->read<double>(name("theta_initial"), {network.parameters()});
    require_finite(fmt::format("{}: {}", file_->path().string(), name("theta_initial")), theta);
    return theta;
}
std::vector<double> RecordedRun::theta(Index k) const { return row("theta", k); }
std::vector<double> RecordedRun::eigenvalues(Index k) const { return row("eigenvalues", k); }
std::vector<double> RecordedRun::hessian(Index k) const { return row("hessian", k); }
std::vector<double> RecordedRun::residual(Index k) const { return row("residual", k); }

std::vector<double> RecordedRun::cost() const {
    return results_ ? file_->read_slab<double>(name("cost"), {replica_}, {1})
                    : file_->read<double>(name("cost"));
}

std::vector<double> RecordedRun::dead_fraction() const {
    return results_ ? file_->read_slab<double>(name("gamma_dead"), {replica_}, {1})
                    : file_->read<double>(name("gamma"));
}

std::vector<RecordedRun> open_recorded_runs(const std::filesystem::path& path) {
    const auto file = std::make_shared<Hdf5File>(Hdf5File::open(path));
    std::vector<RecordedRun> runs;
    if (file->has_attribute("/", "widths")) {
        runs.push_back(RecordedRun(file, "/", 0, false));
        return runs;
    }
    for (const std::string& group : file->groups("/")) {
        if (!file->has_attribute(group, "widths")) continue;
        const auto extents = file->extents(group + "/theta");
        const Index replicas = extents.empty() ? 0 : extents.front();
        for (Index r = 0; r < replicas; ++r) runs.push_back(RecordedRun(file, group, r, true));
    }
    if (runs.empty())
        throw InputError(fmt::format(
            "{}: no attribute widths: neither a recorded run nor results of espectra run", path.string()));
    return runs;
}

}  // namespace espectra
