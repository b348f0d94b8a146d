#include "espectra/experiments/store/earlier_results.hpp"

#include "espectra/experiments/files/folder_lock.hpp"
#include "espectra/experiments/store/results.hpp"
#include "espectra/experiments/store/schema.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace espectra {

namespace {

/// Keys that an extension changes.
bool may_be_extended(std::string_view key) {
    return key == "train.epochs" || key == "spectrum.epochs" || key == "critical_points.epochs";
}

/// "train.epochs is 60 there and 90 here"
std::string text(const RecipeDifference& difference) {
    const auto value = [](const std::string& text) { return text.empty() ? "not given" : text; };
    return fmt::format("{} is {} there and {} here", difference.key, value(difference.earlier),
                       value(difference.present));
}

std::string text(const std::vector<RecipeDifference>& differences) {
    constexpr std::size_t most = 3;
    std::vector<std::string> parts;
    for (const RecipeDifference& difference : differences) {
        if (parts.size() == most) {
            parts.push_back(fmt::format("and {} more keys", differences.size() - most));
            break;
        }
        parts.push_back(text(difference));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

Experiment earlier_experiment(const Hdf5File& file, const Experiment& present) {
    try {
        return stored_experiment("the recipe of " + file.path().string(),
                                 file.attribute_string("/", "recipe"));
    } catch (const InputError& error) {
        throw InputError(fmt::format("{}: was made from another recipe than {}: {}; choose another --output",
                                     file.path().string(), present.path, error.what()));
    }
}

/// Adds epochs to ascending ones, each once.
void add(std::vector<std::int64_t>& epochs, const std::vector<std::int64_t>& more) {
    epochs.insert(epochs.end(), more.begin(), more.end());
    std::ranges::sort(epochs);
    epochs.erase(std::unique(epochs.begin(), epochs.end()), epochs.end());
}

}  // namespace

std::vector<std::string> groups_by_combination(const Hdf5File& file) {
    std::vector<std::string> names;
    for (const std::string& group : file.groups("/")) {
        if (!file.has_attribute(group, "combination")) return {};
        const auto combination =
            static_cast<std::size_t>(file.attribute<std::int64_t>(group, "combination").at(0));
        if (combination >= names.size()) names.resize(combination + 1);
        names[combination] = group;
    }
    return names;
}

void require_same_recipe(const Hdf5File& file, const Experiment& present) {
    if (file.attribute_string("/", "recipe") == present.text) return;
    const Experiment earlier = earlier_experiment(file, present);
    const std::vector<RecipeDifference> differences = recipe_differences(earlier, present);
    if (differences.empty()) return;
    throw InputError(fmt::format("{}: was made from another recipe than {}: {}; choose another --output{}",
                                 file.path().string(), present.path, text(differences),
                                 std::ranges::all_of(differences, may_be_extended, &RecipeDifference::key)
                                     ? ", or train for more epochs with --extend"
                                     : ""));
}

EarlierResults::EarlierResults(Hdf5File file)
    : file_(std::move(file)), groups_(groups_by_combination(file_)) {}

std::optional<EarlierResults> EarlierResults::find(const std::filesystem::path& folder) {
    for (const auto& path : {ResultsFile::partial_path(folder), ResultsFile::final_path(folder)}) {
        if (!std::filesystem::exists(path)) continue;
        const FolderLock lock(folder);
        return EarlierResults(Hdf5File::open(path));
    }
    return std::nullopt;
}

void EarlierResults::require_same_recipe(const Experiment& present) const {
    espectra::require_same_recipe(file_, present);
}

void EarlierResults::require_extension(const Experiment& present) const {
    const Experiment earlier = earlier_experiment(file_, present);
    std::vector<RecipeDifference> differences = recipe_differences(earlier, present);
    std::erase_if(differences, [](const RecipeDifference& one) { return may_be_extended(one.key); });
    const std::string path = file_.path().string();
    if (!differences.empty())
        throw InputError(fmt::format(
            "{}: --extend: was made from another recipe than {}: {}; only train.epochs, spectrum.epochs and "
            "critical_points.epochs may differ",
            path, present.path, text(differences)));
    for (std::size_t i = 0; i < present.combinations.size(); ++i) {
        const std::int64_t before = earlier.combinations[i].recipe.epochs,
                           now = present.combinations[i].recipe.epochs;
        if (now <= before)
            throw InputError(fmt::format(
                "{}: --extend: train.epochs is {} there and {} in {}: expected more, for example --set "
                "train.epochs={}",
                path, before, now, present.path, 2 * before));
    }
}

std::shared_ptr<const DataSet> EarlierResults::data(std::size_t combination) const {
    if (combination >= groups_.size() || groups_[combination].empty()) return nullptr;
    const std::string& group = groups_[combination];
    DataSet set;
    set.source = file_.attribute_string(group, "data_source");
    set.classes = file_.attribute<std::int64_t>(group, "classes").at(0);
    const auto read = [&](const char* name, Index& rows, Index& columns) -> std::vector<double> {
        const std::string path = fmt::format("{}/data/{}", group, name);
        if (!file_.exists(path)) return {};
        const std::vector<Index> extents = file_.extents(path);
        if (extents.size() != 2)
            throw InputError(
                fmt::format("{}: {}: expected 2 axes, got {}", file_.path().string(), path, extents.size()));
        rows = extents[0];
        columns = extents[1];
        return transposed(file_.read<double>(path), rows, columns);
    };
    set.x_train = read("X_train", set.train_examples, set.features);
    set.y_train = read("Y_train", set.train_examples, set.outputs);
    set.x_test = read("X_test", set.test_examples, set.features);
    set.y_test = read("Y_test", set.test_examples, set.outputs);
    return std::make_shared<const DataSet>(std::move(set));
}

bool EarlierResults::extended_for(const Experiment& present) const {
    return file_.has_attribute("/", "extended_from") &&
           recipe_differences(earlier_experiment(file_, present), present).empty();
}

void EarlierResults::add_epochs(std::vector<PlannedNetwork>& networks, bool extension) const {
    if (!extension && !file_.has_attribute("/", "extended_from")) return;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        PlannedNetwork& planned = networks[n];
        const std::string group = n < groups_.size() ? groups_[n] : planned.name;
        const auto epochs = [&](const Dataset& dataset, const char* within) {
            const std::string path = fmt::format("{}/{}{}", group, within, dataset.name);
            return file_.exists(path) ? file_.read<std::int64_t>(path) : std::vector<std::int64_t>{};
        };
        add(planned.epochs, epochs(epoch_dataset, ""));
        add(planned.recipe.critical_points.epochs, epochs(search_epoch_dataset, "critical_points/"));
    }
}

}  // namespace espectra
