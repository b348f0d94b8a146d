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

/// Fills raw.labels and raw.classes from one number per example. Throws InputError unless the numbers are the
/// integers 0 … C−1 with every class present, 2 ≤ C ≤ 1000.
void set_labels(RawData& raw, const std::vector<double>& values, const Place& place);

/// Fills raw.targets and raw.target_count from row-major examples × columns; classes = 0. Checks finiteness.
void set_targets(RawData& raw, std::vector<double> values, Index columns, const Place& place);

/// Fills labels from the y of a file if it is one column and `regression` is false, else targets.
void set_outcomes(RawData& raw, std::vector<double> values, Index columns, bool regression,
                  const Place& place);

}  // namespace espectra
