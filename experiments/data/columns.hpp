#pragma once

#include "espectra/experiments/data/data_set.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

/// Returns the first and last place of a range of columns such as "2-5", or nothing for other text.
std::optional<std::pair<Index, Index>> column_range(const std::string& text);

/// Finds columns of a table, from 0, in the order in which they are wanted. `names` are those of the columns,
/// or empty; a text that is no name may be a range "2-5". Throws InputError "<source>: <key>: …" for a column
/// that is not there, is wanted twice, or whose name several columns have.
std::vector<Index> find_columns(const std::vector<ColumnName>& wanted, Index columns,
                                const std::vector<std::string>& names, const std::string& source,
                                const std::string& key);

/// Returns "column 3" or "columns 1-4, 6" for columns from 0.
std::string columns_text(const std::vector<Index>& columns);

}  // namespace espectra
