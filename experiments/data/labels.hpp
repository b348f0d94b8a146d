#pragma once

#include "espectra/experiments/data/data_set.hpp"

#include <functional>
#include <string>
#include <vector>

namespace espectra {

/// Returns the place of a number in a file, for error messages: "points.csv:17", "run.h5: y[3]", "points.mat:
/// X(4, 2)". `row` and `column` count from 0; column −1 means the row as a whole.
using Place = std::function<std::string(Index row, Index column)>;

/// Returns places such as "file: X[3, 2]", with subscripts from 0 as in NumPy.
Place numpy_place(const std::string& file, const std::string& dataset);

/// Throws InputError "<place>: nan is not a finite number" for the first NaN or infinity of `values`
/// (row-major rows × columns).
void require_finite(const std::vector<double>& values, Index columns, const Place& place);

/// Fills raw.labels, raw.classes and description.class_labels from one number per example. The numbers are
/// any 2 to 1000 different integers; the classes 0, 1, … are these in ascending order. Throws InputError.
void set_labels(RawData& raw, const std::vector<double>& values, const Place& place);

/// The same from one word per example. If all words are integers, the classes are these in ascending order;
/// else the words in alphabetical order, by their bytes. Numbers among words are an error.
void set_labels(RawData& raw, const std::vector<std::string>& words, const Place& place);

/// Fills raw.targets and raw.target_count from row-major examples × columns; classes = 0. Checks finiteness.
void set_targets(RawData& raw, std::vector<double> values, Index columns, const Place& place);

/// Fills labels from the outcomes of a file if the options choose labels, or if they choose nothing and there
/// is one column; else targets.
void set_outcomes(RawData& raw, std::vector<double> values, Index columns, const DataOptions& options,
                  const Place& place);

}  // namespace espectra
