#pragma once

#include "espectra/experiments/recipe/recipe.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

/// One point of a sweep.
struct Combination {
    Recipe recipe;
    std::vector<std::pair<std::string, std::string>>
        swept;  ///< keys with several values, and this one as text
};

/// A recipe file with its sweep multiplied out.
struct Experiment {
    std::string path;
    std::string title;
    std::string text;  ///< the recipe as it was run, overrides included
    /// The values that the recipe gives, as text by dotted key: "train.epochs", "sweep.train.seed", and
    /// "sweep.1.train.seed" in the first of several [[sweep]].
    std::map<std::string, std::string> values;
    std::vector<Combination> combinations;
};

/// Reads a recipe (TOML). [sweep] is the product of its lists; several [[sweep]] are taken in turn.
/// `overrides` are "key=value" with dotted keys and TOML values; a value that is not TOML is taken as a
/// string. Throws InputError with file, line, key and value for anything unknown, mistyped or out of range.
Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides);

/// Reads a recipe from the `text` of an experiment that was run; `name` names it in errors.
Experiment stored_experiment(const std::string& name, const std::string& text);

/// A key that two recipes give different values; empty where one of them does not give it.
struct RecipeDifference {
    std::string key, earlier, present;
};

/// Returns the keys in which two experiments differ; none where they run the same networks. The title, and
/// other names of the same value, are no difference.
std::vector<RecipeDifference> recipe_differences(const Experiment& earlier, const Experiment& present);

}  // namespace espectra
