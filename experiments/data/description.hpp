#pragma once

#include "espectra/experiments/data/data_set.hpp"

#include <string>

namespace espectra {

/// Returns one line that says which columns are features and which labels or targets, how many examples and
/// classes there are, and what was mapped, dropped, converted and scaled: "iris.csv: 150 examples (120 to
/// train, 30 to test); …". Text of the file is escaped for a terminal.
std::string description_text(const DataSet& data);

}  // namespace espectra
