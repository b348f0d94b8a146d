#pragma once

#include "espectra/experiments/recipe/experiment.hpp"
#include "espectra/experiments/recipe/recipe_value.hpp"

#include <vector>

namespace espectra {

/// Returns the product of the lists of one sweep, or one combination where `sweep` is null. Sets the swept
/// keys in `root` in turn: a copy would lose the line numbers. `sweep` may be part of `root`. Throws
/// InputError.
std::vector<Combination> multiply_out(toml::table& root, const toml::table* sweep, RecipeOrigin origin);

}  // namespace espectra
