#pragma once

#include "espectra/experiments/recipe/recipe.hpp"
#include "espectra/experiments/recipe/recipe_value.hpp"

#include <functional>
#include <string>
#include <vector>

namespace espectra {

/// A key of a recipe: how it is read, and its row in the tables of docs/recipes.md.
struct RecipeKey {
    std::string name;           ///< dotted
    std::string type;           ///< with the range, as in the table
    std::string default_value;  ///< as in the table
    /// Reads the value, or keeps the default where the key is absent. Called for each key, in order, so that
    /// a value may depend on those before it.
    std::function<void(const RecipeValue& value, Recipe& recipe)> read;
    /// The name of the value where it may be given by an alias; else empty.
    std::function<std::string(const Recipe& recipe)> canonical_name = {};
};

/// All keys but `sweep`, in the order of the tables and of error messages.
const std::vector<RecipeKey>& recipe_keys();

/// Reads a recipe whose keys all have one value. Throws InputError for an unknown key, for a value of another
/// type or out of range.
Recipe read_recipe(const toml::table& root, const RecipeOrigin& origin);

}  // namespace espectra
