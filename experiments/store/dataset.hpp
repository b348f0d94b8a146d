#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace espectra {

enum class Axis {
    replica,
    snapshot,
    parameter,
    eigenvalue,
    search,  ///< one for each epoch of the recipe's critical_points
    train_example,
    test_example,
    feature,
    output,
    cost_bin,   ///< bins of equal numbers of records, by cost
    tolerance,  ///< tolerances τ at which α(τ) and γ(τ) are taken
    // The entries along these have names, see axis_entries.
    statistic,
    quartiles,
    estimate,
    bin_medians,
    tolerance_quartiles,
    comparison,
};

inline constexpr Index cost_bins = 20;
inline constexpr Index tolerances = 61;  // from 1e-16 to 1e-1, four per decade

/// The name of an axis in the attribute `axes`.
std::string_view axis_name(Axis axis);
/// Names of the entries along an axis; empty where the entries are only counted.
std::span<const std::string_view> axis_entries(Axis axis);
Index extent(Axis axis, const PlannedNetwork& planned);

/// Up to four axes of a dataset, the outermost first.
class Axes {
  public:
    template <class... List>
    constexpr Axes(List... axes) : axes_{axes...}, count_(sizeof...(axes)) {}

    constexpr std::size_t size() const { return count_; }
    constexpr const Axis* begin() const { return axes_.data(); }
    constexpr const Axis* end() const { return axes_.data() + count_; }
    constexpr bool operator==(const Axes& other) const { return std::ranges::equal(*this, other); }

  private:
    std::array<Axis, 4> axes_;
    std::size_t count_;
};

/// Decides which networks have a dataset; `text` is the condition in the documentation.
struct Condition {
    std::string_view text;
    bool (*holds)(const PlannedNetwork&);
};

inline constexpr Condition always = {"", [](const PlannedNetwork&) { return true; }};

enum class Numbers { float64, int64 };

/// How the summary of a run takes one number of a column for each network.
enum class Summary {
    none,
    median,   ///< over the replicas, at the last epoch that has a record
    largest,  ///< of all records
    total,    ///< of all records
};

/// A dataset of a network's group in results.h5, or of a group within it.
struct Dataset {
    std::string_view name;  ///< in its group
    Axes axes;
    std::string_view meaning;  ///< one line, in the file and in docs/file-formats.md
    Condition condition = always;
    bool statistics = false;  ///< the file also has its statistics over the replicas
    Summary summary = Summary::none;
    Numbers numbers = Numbers::float64;
    bool later = false;  ///< files of older versions lack it and are given it when their run is resumed
};

/// Takes the values of a dataset from a record: one number, or an array over the dataset's inner axes. An
/// empty array means NaN.
template <class Record>
using Value = std::variant<double (*)(const Record&), const std::vector<double>& (*)(const Record&)>;

/// A dataset with values from each record.
template <class Record>
struct Column : Dataset {
    Value<Record> value;
};

/// Returns the place of a dataset in a table. In a constant expression, a name that is not in the table does
/// not compile.
template <class Table>
constexpr std::size_t position_in(const Table& table, std::string_view name) {
    for (std::size_t i = 0; i < std::size(table); ++i)
        if (table[i].name == name) return i;
    throw std::logic_error("no such dataset");
}

std::vector<Index> extents(const Dataset& dataset, const PlannedNetwork& planned);

/// Numbers that the dataset holds; 0 where the network has no such dataset.
double numbers_in(const Dataset& dataset, const PlannedNetwork& planned);

/// Creates `group`/<name> with its attributes `meaning`, `axes`, `statistics` and, for axes whose entries
/// have names, an attribute called like the axis with these names. Does nothing where the network has no such
/// dataset.
void lay_out(Hdf5File& file, const std::string& group, const Dataset& dataset, const PlannedNetwork& planned);

/// Writes the values of records into `group`/<name>: the entries of the first axis from `first` on, one entry
/// of the second axis.
template <class Record>
void write_column(Hdf5File& file, const std::string& group, const Column<Record>& column,
                  const PlannedNetwork& planned, Index first, Index second, std::span<const Record> records) {
    std::vector<Index> begin(column.axes.size(), 0), count = extents(column, planned);
    count[0] = count[1] = 1;
    Index size = 1;  // of one record's values
    for (const Index extent : count) size *= extent;
    const auto write = [&](Index from, Index entries, const double* values) {
        begin[0] = from;
        begin[1] = second;
        count[0] = entries;
        file.write_slab(fmt::format("{}/{}", group, column.name), begin, count, values);
    };
    std::vector<double> gathered;
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (const auto* number = std::get_if<0>(&column.value)) {
            gathered.push_back((*number)(records[i]));
            continue;
        }
        const std::vector<double>& values = std::get<1>(column.value)(records[i]);
        if (values.empty())
            gathered.resize(gathered.size() + size, std::numeric_limits<double>::quiet_NaN());
        else if (records.size() == 1 || column.axes.size() > 3)  // eigenvectors are too large to be gathered
            write(first + static_cast<Index>(i), 1, values.data());
        else
            gathered.insert(gathered.end(), values.begin(), values.end());
    }
    if (!gathered.empty()) write(first, std::ssize(records), gathered.data());
}

}  // namespace espectra
