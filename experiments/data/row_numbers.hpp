#pragma once

#include <string>
#include <vector>

namespace espectra {

/// The values of a leading column of a table that may number the rows instead of being a feature, as programs
/// write it in front of their columns.
class RowNumbers {
  public:
    enum class Verdict {
        feature,
        row_numbers,  ///< the column is no feature
        unclear,      ///< a column without a name, whose values are no numbers of rows
    };

    /// `name`: that of the column; `header`: the table has names of columns at all.
    RowNumbers(std::string name, bool header) : name_(std::move(name)), header_(header) {}

    /// Adds the value of the next row.
    void add(double value) { values_.push_back(value); }

    /// A column without a name among others that have one numbers the rows if its values are different
    /// integers. A column that is called "id", "index" or the like does so if they are 0, 1, 2, … or 1, 2, 3,
    /// …; a column of a table without names too, if it has ten rows or more.
    Verdict verdict() const;
    /// Returns true for integers that all differ, as identifiers do, in twenty rows or more, if the name does
    /// not say that they mean something else.
    bool looks_like_identifier() const;

    /// Returns true for the names that pandas gives to columns without one, "" and "Unnamed: 0".
    static bool is_unnamed(const std::string& name);

  private:
    bool different_integers() const;
    bool counts_rows() const;

    std::string name_;
    bool header_;
    std::vector<double> values_;
};

}  // namespace espectra
