#include "espectra/experiments/recipe/recipe_keys.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace espectra {

namespace {

template <class T>
using Field = T& (*)(Recipe&);

/// The default of a field as TOML, between backticks.
template <class T>
std::string default_of(Field<T> field) {
    Recipe recipe;
    const T& value = field(recipe);
    if constexpr (std::is_same_v<T, std::string>)
        return fmt::format("`\"{}\"`", value);
    else if constexpr (std::is_enum_v<T>)
        return fmt::format("`\"{}\"`", names_of(value).name);
    else
        return fmt::format("`{}`", value);
}

RecipeKey text(const char* name, Field<std::string> field) {
    return {name, "string", default_of(field), [=](const RecipeValue& v, Recipe& r) { v.read(field(r)); }};
}

RecipeKey boolean(const char* name, Field<bool> field) {
    return {name, "boolean", default_of(field), [=](const RecipeValue& v, Recipe& r) { v.read(field(r)); }};
}

template <class Integer>
RecipeKey integer(const char* name, Field<Integer> field, IntegerRange range) {
    return {name, "integer " + range.in_symbols(), default_of(field),
            [=](const RecipeValue& v, Recipe& r) { v.read(field(r), range); }};
}

RecipeKey number(const char* name, Field<double> field, NumberRange range) {
    return {name, range.in_symbols(), default_of(field),
            [=](const RecipeValue& v, Recipe& r) { v.read(field(r), range); }};
}

/// `"a"`, `"b"`, …
template <class E>
std::string quoted_names() {
    std::string list;
    for (const E value : all_values<E>)
        list += fmt::format("{}`\"{}\"`", list.empty() ? "" : ", ", names_of(value).name);
    return list;
}

template <class E>
RecipeKey choice(const char* name, Field<E> field) {
    return {name, quoted_names<E>(), default_of(field),
            [=](const RecipeValue& v, Recipe& r) { v.read_name(field(r)); },
            [=](const Recipe& r) {
                Recipe copy = r;
                return std::string(names_of(field(copy)).name);
            }};
}

constexpr NumberRange above_zero = {.low = 0};
constexpr NumberRange at_least_zero = {.low = 0, .with_low = true};
constexpr NumberRange unit_interval = {.low = 0, .high = 1};
constexpr NumberRange any_number;

/// Without a hidden layer, names are checked and have no effect.
void read_activations(const RecipeValue& value, Recipe& recipe) {
    if (recipe.hidden.empty()) recipe.activations.clear();
    if (!value) return;
    const std::string expected = fmt::format("{}, or a list of {} of them (one for each hidden layer)",
                                             list_of_names<Activation>(), recipe.hidden.size());
    std::vector<RecipeValue> elements = {value};
    if (const auto list = value.elements()) {
        if (list->size() != recipe.hidden.size()) value.fail(expected);
        elements = *list;
    }
    std::vector<Activation> activations;
    for (const RecipeValue& element : elements) {
        const auto found = element.name<Activation>();
        if (!found) value.fail(expected);
        activations.push_back(*found);
    }
    if (!recipe.hidden.empty()) recipe.activations = std::move(activations);
}

/// The mean of β is 1 unless it is given, where β is not trainable.
void read_trainable_beta(const RecipeValue& value, Recipe& recipe) {
    value.read(recipe.trainable_beta);
    if (!recipe.trainable_beta) recipe.beta.mean = 1.0;
}

/// The last key of the schedule: checks the number of snapshots as well.
void read_spectrum_epochs(const RecipeValue& value, Recipe& recipe) {
    SnapshotSchedule& schedule = recipe.schedule;
    value.read(schedule.epochs, {.least = 0});
    for (const std::int64_t epoch : schedule.epochs)
        if (epoch > recipe.epochs) value.fail(fmt::format("epochs up to train.epochs = {}", recipe.epochs));
    constexpr std::int64_t most_snapshots = 1'000'000;
    if (schedule.epochs.empty() && (std::min(schedule.dense_until, recipe.epochs) / schedule.dense_step +
                                    recipe.epochs / schedule.step) > most_snapshots)
        throw InputError(fmt::format("{}: spectrum.schedule: more than {} snapshots of train.epochs = {}",
                                     value.file(), most_snapshots, recipe.epochs));
}

void read_tolerance(const RecipeValue& value, Recipe& recipe) {
    constexpr NumberRange range = {.low = 0, .high = 1};
    if (!value.is("auto")) value.read(recipe.spectrum.tolerance, range, "\"auto\" or a " + range.in_words());
}

void read_search_epochs(const RecipeValue& value, Recipe& recipe) {
    std::vector<std::int64_t>& epochs = recipe.critical_points.epochs;
    const std::vector<std::int64_t> snapshots = recipe.schedule.snapshots(recipe.epochs);
    if (value.is("all"))
        epochs = snapshots;
    else if (value.is_string() && !value.is("none"))
        value.fail("\"none\", \"all\" or a list of epochs at which spectra are taken");
    else if (!value.is_string())
        value.read(epochs, {.least = 0});
    std::ranges::sort(epochs);
    epochs.erase(std::unique(epochs.begin(), epochs.end()), epochs.end());
    for (const std::int64_t epoch : epochs)
        if (!std::ranges::binary_search(snapshots, epoch))
            value.fail(fmt::format("epochs at which spectra are taken, which {} is not", epoch));
}

std::vector<RecipeKey> make_keys() {
    const std::string activations = quoted_names<Activation>() + ", or list of names";
    return {
        text("title", [](Recipe& r) -> std::string& { return r.title; }),

        text("data.source", [](Recipe& r) -> std::string& { return r.source; }),
        number("data.test_fraction", [](Recipe& r) -> double& { return r.test_fraction; },
               {.low = 0, .high = 1, .with_low = true}),
        integer<std::uint64_t>("data.seed", [](Recipe& r) -> std::uint64_t& { return r.data_seed; },
                               {.least = 0}),
        choice<Scaling>("data.scale", [](Recipe& r) -> Scaling& { return r.scale; }),

        {"network.hidden", "list of integers " + IntegerRange{1}.in_symbols(), "`[25]`",
         [](const RecipeValue& v, Recipe& r) { v.read(r.hidden, {.least = 1}, ListLength::any); }},
        {"network.activation", activations, "`\"esp\"`", read_activations},
        number(
            "network.negative_slope", [](Recipe& r) -> double& { return r.negative_slope; }, any_number),
        choice<Loss>("network.loss", [](Recipe& r) -> Loss& { return r.loss; }),
        choice<WeightDistribution>(
            "network.init", [](Recipe& r) -> WeightDistribution& { return r.initial_weights.distribution; }),
        number(
            "network.sigma_w", [](Recipe& r) -> double& { return r.initial_weights.sigma_w; }, at_least_zero),
        number(
            "network.sigma_b", [](Recipe& r) -> double& { return r.initial_weights.sigma_b; }, at_least_zero),
        {"network.beta.trainable", "boolean", "`true`", read_trainable_beta},
        {"network.beta.mean", any_number.in_symbols(), "`0`, or `1` if not trainable",
         [](const RecipeValue& v, Recipe& r) { v.read(r.beta.mean, any_number); }},
        number(
            "network.beta.std", [](Recipe& r) -> double& { return r.beta.standard_deviation; },
            at_least_zero),

        choice<Optimizer>("train.optimizer", [](Recipe& r) -> Optimizer& { return r.training.optimizer; }),
        number(
            "train.learning_rate", [](Recipe& r) -> double& { return r.training.learning_rate; }, above_zero),
        number("train.decay.rate", [](Recipe& r) -> double& { return r.training.decay_rate; },
               {.low = 0, .high = 1, .with_high = true}),
        number(
            "train.decay.steps", [](Recipe& r) -> double& { return r.training.decay_steps; }, above_zero),
        integer<std::int64_t>("train.epochs", [](Recipe& r) -> std::int64_t& { return r.epochs; },
                              {.least = 0}),
        integer<Index>("train.replicas", [](Recipe& r) -> Index& { return r.replicas; },
                       {.least = 1, .most = 1'000'000}),
        integer<std::uint64_t>("train.seed", [](Recipe& r) -> std::uint64_t& { return r.seed; },
                               {.least = 0}),

        integer<std::int64_t>("spectrum.schedule.dense_until",
                              [](Recipe& r) -> std::int64_t& { return r.schedule.dense_until; },
                              {.least = 0}),
        integer<std::int64_t>("spectrum.schedule.dense_step",
                              [](Recipe& r) -> std::int64_t& { return r.schedule.dense_step; }, {.least = 1}),
        integer<std::int64_t>("spectrum.schedule.step",
                              [](Recipe& r) -> std::int64_t& { return r.schedule.step; }, {.least = 1}),
        {"spectrum.epochs", "list of one or more integers from 0 to `train.epochs`", "none",
         read_spectrum_epochs},
        {"spectrum.tolerance", "`\"auto\"` or " + unit_interval.in_symbols(), "`\"auto\"`", read_tolerance},
        boolean("spectrum.eigenvectors", [](Recipe& r) -> bool& { return r.spectrum.eigenvectors; }),
        boolean("spectrum.gauss_newton", [](Recipe& r) -> bool& { return r.spectrum.gauss_newton; }),

        {"critical_points.epochs", "`\"none\"`, `\"all\"` or list of one or more integers", "`\"none\"`",
         read_search_epochs},
        number(
            "critical_points.gradient_tolerance",
            [](Recipe& r) -> double& { return r.critical_points.search.gradient_tolerance; }, above_zero),
        integer<std::int64_t>("critical_points.iterations",
                              [](Recipe& r) -> std::int64_t& { return r.critical_points.search.iterations; },
                              {.least = 1}),
    };
}

/// Reads the keys that begin with `prefix` ("", "train.", …) from `table`, and the tables within it.
void read_table(const toml::table& table, const std::string& prefix, const RecipeOrigin& origin,
                Recipe& recipe) {
    static const toml::table empty;
    std::vector<std::string> known;
    for (const RecipeKey& key : recipe_keys()) {
        if (!key.name.starts_with(prefix)) continue;
        const std::size_t dot = key.name.find('.', prefix.size());
        const std::string name = key.name.substr(prefix.size(), dot - prefix.size());
        if (std::ranges::find(known, name) != known.end()) continue;  // a table that has been read
        known.push_back(name);
        const toml::node* node = table.get(name);
        if (dot == std::string::npos) {
            key.read(RecipeValue(node, key.name, origin), recipe);
        } else {
            if (node && !node->is_table()) RecipeValue(node, prefix + name, origin).fail("a table");
            read_table(node ? *node->as_table() : empty, prefix + name + ".", origin, recipe);
        }
    }
    if (prefix.empty()) known.emplace_back("sweep");
    for (const auto& [key, node] : table) {
        const std::string name(key.str());
        if (std::ranges::find(known, name) == known.end())
            throw InputError(fmt::format("{}: unknown key, expected one of: {}",
                                         origin.place(prefix + name, node), fmt::join(known, ", ")));
    }
}

}  // namespace

const std::vector<RecipeKey>& recipe_keys() {
    static const std::vector<RecipeKey> keys = make_keys();
    return keys;
}

Recipe read_recipe(const toml::table& root, const RecipeOrigin& origin) {
    Recipe recipe;
    read_table(root, "", origin, recipe);
    recipe.critical_points.search.tolerance = recipe.spectrum.tolerance;
    return recipe;
}

}  // namespace espectra
