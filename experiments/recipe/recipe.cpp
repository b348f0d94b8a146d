#include "espectra/experiments/recipe/recipe.hpp"

#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace espectra {

namespace {

/// Where the values of a table come from, for error messages: a line of the file, or the command line.
struct Origin {
    std::string file;
    std::set<std::string> overridden;   // keys set on the command line
    std::map<std::string, long> swept;  // keys set by the sweep, with the line of their list

    std::string place(const std::string& key, const toml::node& node) const {
        for (std::string prefix = key;; prefix = prefix.substr(0, prefix.rfind('.'))) {
            if (const auto found = swept.find(prefix); found != swept.end())
                return found->second > 0 ? fmt::format("{}:{}: sweep of {}", file, found->second, key)
                                         : fmt::format("--set sweep of {}", key);
            if (overridden.contains(prefix)) return fmt::format("--set {}", key);
            if (prefix.find('.') == std::string::npos) break;
        }
        const auto line = node.source().begin.line;
        return line > 0 ? fmt::format("{}:{}: {}", file, line, key) : fmt::format("{}: {}", file, key);
    }
};

std::string as_text(const toml::node& node) {
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    std::ostringstream out;
    node.visit([&](const auto& value) { out << value; });
    std::string text = out.str();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

/// Reads one table strictly: every key has to be asked for, every value has to have its type.
class TableReader {
  public:
    TableReader(const toml::table& table, std::string prefix, const Origin& origin)
        : table_(table), prefix_(std::move(prefix)), origin_(origin) {}

    std::string key(const std::string& name) const { return prefix_.empty() ? name : prefix_ + "." + name; }

    [[noreturn]] void fail(const std::string& name, const std::string& expected) const {
        const toml::node& node = *table_.get(name);
        throw InputError(
            fmt::format("{}: expected {}, got {}", origin_.place(key(name), node), expected, as_text(node)));
    }

    const toml::node* find(const std::string& name) {
        if (std::ranges::find(known_, name) == known_.end()) known_.push_back(name);
        return table_.get(name);
    }

    void read(const std::string& name, std::string& value) {
        if (const toml::node* node = find(name)) {
            if (!node->is_string()) fail(name, "a string");
            value = node->as_string()->get();
        }
    }
    void read(const std::string& name, bool& value) {
        if (const toml::node* node = find(name)) {
            if (!node->is_boolean()) fail(name, "true or false");
            value = node->as_boolean()->get();
        }
    }
    template <class Integer>
    void read_integer(const std::string& name, Integer& value, std::int64_t least, std::int64_t most) {
        if (const toml::node* node = find(name)) {
            const auto* integer = node->as_integer();
            if (!integer || integer->get() < least || integer->get() > most)
                fail(name, most == INT64_MAX ? fmt::format("an integer of at least {}", least)
                                             : fmt::format("an integer from {} to {}", least, most));
            value = static_cast<Integer>(integer->get());
        }
    }
    /// A number for which `accept` holds; `expected` says which those are.
    template <class Accept>
    void read_number(const std::string& name, double& value, const std::string& expected, Accept&& accept) {
        if (const toml::node* node = find(name)) {
            const auto number = node->is_number() ? node->value<double>() : std::nullopt;
            if (number && !std::isfinite(*number)) fail(name, "a finite number");
            if (!number || !accept(*number)) fail(name, expected);
            value = *number;
        }
    }
    /// A name out of a list, looked up by `lookup` (a function from string_view to optional).
    template <class Value, class Lookup>
    void read_name(const std::string& name, Value& value, const std::string& expected, Lookup&& lookup) {
        if (const toml::node* node = find(name)) {
            const auto found = node->is_string() ? lookup(node->as_string()->get()) : std::nullopt;
            if (!found) fail(name, expected);
            value = *found;
        }
    }
    /// Integers of at least `least`, at least one of them.
    template <class Integer>
    void read_integers(const std::string& name, std::vector<Integer>& values, std::int64_t least) {
        const toml::node* node = find(name);
        if (!node) return;
        const std::string expected = fmt::format("a list of one or more integers of at least {}", least);
        const toml::array* array = node->as_array();
        if (!array || array->empty()) fail(name, expected);
        values.clear();
        for (const toml::node& element : *array) {
            const auto* integer = element.as_integer();
            if (!integer || integer->get() < least) fail(name, expected);
            values.push_back(static_cast<Integer>(integer->get()));
        }
    }

    /// A table within this one; an empty one where there is none.
    TableReader table(const std::string& name) {
        static const toml::table none;
        const toml::node* node = find(name);
        if (node && !node->is_table()) fail(name, "a table");
        return TableReader(node ? *node->as_table() : none, key(name), origin_);
    }

    /// Throws for the first key that was not asked for.
    void finish() const {
        for (const auto& [name, node] : table_) {
            const std::string text(name.str());
            if (std::ranges::find(known_, text) != known_.end()) continue;
            throw InputError(fmt::format("{}: unknown key, expected one of: {}",
                                         origin_.place(key(text), node), fmt::join(known_, ", ")));
        }
    }

  private:
    const toml::table& table_;
    std::string prefix_;
    const Origin& origin_;
    std::vector<std::string> known_;
};

void read_activations(TableReader& reader, std::vector<Activation>& activations, std::size_t hidden_layers) {
    const toml::node* node = reader.find("activation");
    if (!node) return;
    const std::string expected = fmt::format("{}, or a list of {} of them (one for each hidden layer)",
                                             list_of_names<Activation>(), hidden_layers);
    const auto lookup = [&](const toml::node& element) {
        const auto found = element.is_string() ? value_from_name<Activation>(element.as_string()->get())
                                               : std::optional<Activation>{};
        if (!found) reader.fail("activation", expected);
        return *found;
    };
    activations.clear();
    if (const toml::array* array = node->as_array()) {
        if (array->size() != hidden_layers) reader.fail("activation", expected);
        for (const toml::node& element : *array) activations.push_back(lookup(element));
    } else {
        activations.push_back(lookup(*node));
    }
}

void read_schedule(TableReader& spectrum, SnapshotSchedule& schedule) {
    const auto positive = [](TableReader& reader, const std::string& name, std::int64_t& value,
                             std::int64_t least) { reader.read_integer(name, value, least, INT64_MAX); };
    TableReader reader = spectrum.table("schedule");
    positive(reader, "dense_until", schedule.dense_until, 0);
    positive(reader, "dense_step", schedule.dense_step, 1);
    positive(reader, "step", schedule.step, 1);
    reader.finish();
    spectrum.read_integers("epochs", schedule.epochs, 0);
}

/// `recipe` has its snapshots and their tolerance.
void read_critical_points(TableReader reader, const Recipe& recipe, CriticalPointSettings& settings) {
    const std::vector<std::int64_t> snapshots = recipe.schedule.snapshots(recipe.epochs);
    const toml::node* epochs = reader.find("epochs");
    if (const auto* word = epochs ? epochs->as_string() : nullptr) {
        if (word->get() == "all")
            settings.epochs = snapshots;
        else if (word->get() != "none")
            reader.fail("epochs", "\"none\", \"all\" or a list of epochs at which spectra are taken");
    } else {
        reader.read_integers("epochs", settings.epochs, 0);
    }
    std::ranges::sort(settings.epochs);
    settings.epochs.erase(std::unique(settings.epochs.begin(), settings.epochs.end()), settings.epochs.end());
    for (const std::int64_t epoch : settings.epochs)
        if (!std::ranges::binary_search(snapshots, epoch))
            reader.fail("epochs", fmt::format("epochs at which spectra are taken, which {} is not", epoch));
    reader.read_number("gradient_tolerance", settings.search.gradient_tolerance, "a number above 0",
                       [](double v) { return v > 0; });
    reader.read_integer("iterations", settings.search.iterations, 1, INT64_MAX);
    settings.search.tolerance = recipe.spectrum.tolerance;
    reader.finish();
}

Recipe read_recipe(const toml::table& root, const Origin& origin) {
    Recipe recipe;
    TableReader reader(root, "", origin);
    reader.read("title", recipe.title);

    TableReader data = reader.table("data");
    data.read("source", recipe.source);
    data.read_number("test_fraction", recipe.test_fraction, "a number in [0, 1)",
                     [](double v) { return v >= 0 && v < 1; });
    data.read_integer("seed", recipe.data_seed, 0, INT64_MAX);
    data.read_name("scale", recipe.scale, "unit, standard or none", [](std::string_view name) {
        return name == "unit"       ? std::optional(Scaling::unit)
               : name == "standard" ? std::optional(Scaling::standard)
               : name == "none"     ? std::optional(Scaling::none)
                                    : std::nullopt;
    });
    data.finish();

    TableReader network = reader.table("network");
    network.read_integers("hidden", recipe.hidden, 1);
    read_activations(network, recipe.activations, recipe.hidden.size());
    network.read_name("loss", recipe.loss, list_of_names<Loss>(), value_from_name<Loss>);
    TableReader beta = network.table("beta");
    const auto any = [](double) { return true; };
    beta.read("trainable", recipe.trainable_beta);
    if (!recipe.trainable_beta) recipe.beta.mean = 1.0;
    beta.read_number("mean", recipe.beta.mean, "a number", any);
    beta.read_number("std", recipe.beta.standard_deviation, "a number of at least 0",
                     [](double v) { return v >= 0; });
    beta.finish();
    network.finish();

    TableReader train = reader.table("train");
    const auto positive = [](double v) { return v > 0; };
    train.read_name("optimizer", recipe.training.optimizer, "adam or gradient_descent",
                    [](std::string_view name) {
                        return name == "adam"               ? std::optional(Optimizer::adam)
                               : name == "gradient_descent" ? std::optional(Optimizer::gradient_descent)
                                                            : std::nullopt;
                    });
    train.read_number("learning_rate", recipe.training.learning_rate, "a number above 0", positive);
    TableReader decay = train.table("decay");
    decay.read_number("rate", recipe.training.decay_rate, "a number in (0, 1]",
                      [](double v) { return v > 0 && v <= 1; });
    decay.read_number("steps", recipe.training.decay_steps, "a number above 0", positive);
    decay.finish();
    train.read_integer("epochs", recipe.epochs, 0, INT64_MAX);
    train.read_integer("replicas", recipe.replicas, 1, 1'000'000);
    train.read_integer("seed", recipe.seed, 0, INT64_MAX);
    train.finish();

    TableReader spectrum = reader.table("spectrum");
    read_schedule(spectrum, recipe.schedule);
    for (const std::int64_t epoch : recipe.schedule.epochs)
        if (epoch > recipe.epochs)
            spectrum.fail("epochs", fmt::format("epochs up to train.epochs = {}", recipe.epochs));
    constexpr std::int64_t most_snapshots = 1'000'000;
    const SnapshotSchedule& schedule = recipe.schedule;
    if (schedule.epochs.empty() && (std::min(schedule.dense_until, recipe.epochs) / schedule.dense_step +
                                    recipe.epochs / schedule.step) > most_snapshots)
        throw InputError(fmt::format("{}: spectrum.schedule: more than {} snapshots of train.epochs = {}",
                                     origin.file, most_snapshots, recipe.epochs));
    if (const toml::node* node = spectrum.find("tolerance");
        node && !(node->is_string() && node->as_string()->get() == "auto"))
        spectrum.read_number("tolerance", recipe.spectrum.tolerance, "\"auto\" or a number in (0, 1)",
                             [](double v) { return v > 0 && v < 1; });
    spectrum.read("eigenvectors", recipe.spectrum.eigenvectors);
    spectrum.read("gauss_newton", recipe.spectrum.gauss_newton);
    spectrum.finish();

    read_critical_points(reader.table("critical_points"), recipe, recipe.critical_points);

    reader.find("sweep");
    reader.finish();
    return recipe;
}

/// Sets a dotted key, making tables on the way.
void set_key(toml::table& root, const std::string& key, const toml::node& value, const std::string& place) {
    toml::table* table = &root;
    std::size_t begin = 0;
    for (std::size_t dot; (dot = key.find('.', begin)) != std::string::npos; begin = dot + 1) {
        toml::node& next = table->insert(key.substr(begin, dot - begin), toml::table{}).first->second;
        if (!next.is_table())
            throw InputError(fmt::format("{}: {} is not a table", place, key.substr(0, dot)));
        table = next.as_table();
    }
    value.visit([&](const auto& concrete) { table->insert_or_assign(key.substr(begin), concrete); });
}

/// Removes a dotted key from nested tables.
void erase_key(toml::table& table, const std::string& key) {
    const std::size_t dot = key.find('.');
    if (dot == std::string::npos)
        table.erase(key);
    else if (toml::table* nested = table.get_as<toml::table>(key.substr(0, dot)))
        erase_key(*nested, key.substr(dot + 1));
}

void apply_override(toml::table& root, const std::string& assignment, Origin& origin) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
        throw InputError(fmt::format("--set {}: expected KEY=VALUE", assignment));
    const std::string key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
    toml::table parsed;
    try {
        parsed = toml::parse("value = " + text);
    } catch (const toml::parse_error&) {
        parsed.insert_or_assign("value", text);
    }
    // "sweep.network.activation=[…]" names an entry of the sweep, whose own key has dots.
    if (key.starts_with("sweep.")) {
        toml::node& sweep = root.insert("sweep", toml::table{}).first->second;
        if (!sweep.is_table()) throw InputError(fmt::format("--set {}: sweep is not a table", key));
        erase_key(*sweep.as_table(), key.substr(6));  // where the file has it as sweep.network.activation
        parsed.get("value")->visit(
            [&](const auto& concrete) { sweep.as_table()->insert_or_assign(key.substr(6), concrete); });
    } else {
        set_key(root, key, *parsed.get("value"), "--set " + key);
    }
    origin.overridden.insert(key);
}

/// Keys (dotted) and lists of the sweep; TOML's own nesting of dotted keys is flattened.
void collect_sweep(const toml::table& table, const std::string& prefix, const Origin& origin,
                   std::vector<std::pair<std::string, const toml::array*>>& lists) {
    for (const auto& [name, node] : table) {
        const std::string key =
            prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
        if (const toml::table* nested = node.as_table()) {
            collect_sweep(*nested, key, origin, lists);
        } else if (const toml::array* list = node.as_array(); list && !list->empty()) {
            lists.emplace_back(key, list);
        } else {
            throw InputError(fmt::format("{}: expected a list of one or more values, got {}",
                                         origin.place("sweep." + key, node), as_text(node)));
        }
    }
}

/// The product of one sweep's lists. Sets the swept keys in the table itself, one combination after the
/// other: a copy would lose the line numbers.
std::vector<Combination> multiply_out(toml::table& root, const toml::table* sweep, Origin origin) {
    std::vector<std::pair<std::string, const toml::array*>> lists;
    if (sweep) collect_sweep(*sweep, "", origin, lists);
    for (const auto& [key, list] : lists) {
        if (key == "title" || key.starts_with("sweep"))
            throw InputError(fmt::format("{}: cannot be swept", origin.place("sweep." + key, *list)));
        origin.swept[key] = static_cast<long>(list->source().begin.line);
    }
    constexpr std::size_t most = 100000;
    std::size_t count = 1;
    for (const auto& [key, list] : lists) {
        count *= list->size();
        if (count > most)
            throw InputError(fmt::format("{}: sweep: more than {} combinations", origin.file, most));
    }
    std::vector<Combination> combinations;
    for (std::size_t index = 0; index < count; ++index) {
        Combination combination;
        std::size_t rest = index;  // the last key of the sweep changes fastest
        std::vector<std::size_t> digits(lists.size());
        for (std::size_t i = lists.size(); i-- > 0; rest /= lists[i].second->size())
            digits[i] = rest % lists[i].second->size();
        for (std::size_t i = 0; i < lists.size(); ++i) {
            const toml::node& value = *lists[i].second->get(digits[i]);
            set_key(root, lists[i].first, value, origin.place(lists[i].first, value));
            if (lists[i].second->size() > 1) combination.swept.emplace_back(lists[i].first, as_text(value));
        }
        combination.recipe = read_recipe(root, origin);
        for (auto& [key, text] : combination.swept)  // an alias names no group
            if (key == "network.loss") text = loss_name(combination.recipe.loss);
        combinations.push_back(std::move(combination));
    }
    return combinations;
}

}  // namespace

std::vector<std::int64_t> SnapshotSchedule::snapshots(std::int64_t total) const {
    std::vector<std::int64_t> list = epochs;
    if (list.empty()) {
        for (std::int64_t epoch = 0; epoch < std::min(dense_until, total); epoch += dense_step)
            list.push_back(epoch);
        for (std::int64_t epoch = total; epoch > std::min(dense_until, total - 1); epoch -= step)
            list.push_back(epoch);
        if (dense_until == 0) list.push_back(0);
    }
    std::ranges::sort(list);
    list.erase(std::unique(list.begin(), list.end()), list.end());
    std::erase_if(list, [](std::int64_t epoch) { return epoch < 0; });
    return list;
}

Network Recipe::network(Index features, Index outputs) const {
    NetworkShape shape;
    shape.widths.push_back(features);
    shape.widths.insert(shape.widths.end(), hidden.begin(), hidden.end());
    shape.widths.push_back(outputs);
    shape.hidden_activations = activations;
    shape.trainable_beta = trainable_beta;
    shape.fixed_beta = beta.mean;
    shape.loss = loss;
    return Network(shape);
}

Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
    const std::string file = path.string();
    require_readable_file(path);
    std::ifstream stream(path);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.is_open() || stream.bad()) throw InputError(fmt::format("{}: cannot be read", file));
    const auto parse = [&](Origin& origin) {
        toml::table root;
        try {
            root = toml::parse(text, file);
        } catch (const toml::parse_error& error) {
            throw InputError(fmt::format("{}:{}: not valid TOML: {}", file, error.source().begin.line,
                                         error.description()));
        }
        for (const std::string& assignment : overrides) apply_override(root, assignment, origin);
        return root;
    };

    Experiment experiment;
    experiment.path = file;
    Origin origin{file, {}, {}};
    toml::table root = parse(origin);
    const toml::node* sweep = root.get("sweep");
    if (sweep && !sweep->is_table() && !sweep->is_array_of_tables())
        throw InputError(
            fmt::format("{}: expected a table or tables [[sweep]]", origin.place("sweep", *sweep)));
    const std::size_t sweeps = sweep && sweep->is_array_of_tables() ? sweep->as_array()->size() : 1;
    for (std::size_t i = 0; i < sweeps; ++i) {
        // Each [[sweep]] starts from the recipe as it is written.
        if (i > 0) root = parse(origin);
        const toml::node* block = root.get("sweep");
        if (block && block->is_array_of_tables()) block = block->as_array()->get(i);
        auto combinations = multiply_out(root, block ? block->as_table() : nullptr, origin);
        std::ranges::move(combinations, std::back_inserter(experiment.combinations));
    }
    experiment.title = experiment.combinations.front().recipe.title;
    experiment.text = text;
    for (const std::string& assignment : overrides)
        experiment.text += fmt::format("\n# --set {}\n", assignment);
    return experiment;
}

}  // namespace espectra
