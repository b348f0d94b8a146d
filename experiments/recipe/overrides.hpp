#pragma once

#include "espectra/experiments/recipe/recipe_value.hpp"

#include <string>

namespace espectra {

/// Sets a dotted key, with the tables on the way to it. Throws InputError "<place>: … is not a table".
void set_key(toml::table& root, const std::string& key, const toml::node& value, const std::string& place);

/// Carries out `--set assignment` ("key=value") and notes the key in `origin`. A value that is not TOML is
/// taken as a string. Throws InputError.
void apply_override(toml::table& root, const std::string& assignment, RecipeOrigin& origin);

}  // namespace espectra
