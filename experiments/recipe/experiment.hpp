#pragma once

#include "espectra/experiments/recipe/recipe.hpp"

#include <filesystem>
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
    std::vector<Combination> combinations;
};

/// Reads a recipe (TOML). [sweep] is the product of its lists; several [[sweep]] are taken in turn.
/// `overrides` are "key=value" with dotted keys and TOML values; a value that is not TOML is taken as a
/// string. Throws InputError with file, line, key and value for anything unknown, mistyped or out of range.
Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides);

}  // namespace espectra
