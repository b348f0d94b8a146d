#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/number_text.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// Reads the numbers of a table in a text, whose decimal mark is found on the way: a point, or a comma where
/// the comma does not separate fields. Errors are InputError with line, column and its name.
class CellReader {
  public:
    /// `names` are those of the columns, or empty; both references have to outlive the reader.
    CellReader(const std::string& source, const std::vector<std::string>& names, char separator,
               DecimalMark decimal);

    /// Returns false where the value is missing; throws for anything else that is not a finite number. `line`
    /// counts from 1, `column` from 0; `hint` is what to do about a word.
    bool read(std::string_view text, Index line, Index column, const char* hint, double& value) {
        const NumberText kind = parse_number(text, value);
        if (kind == NumberText::number && !watches_points_ && std::isfinite(value)) return true;
        return read_with_care(text, line, column, hint, kind, value);
    }
    /// Throws where all commas may separate thousands.
    void finish() const;
    bool has_decimal_commas() const { return comma_.line > 0; }

    /// Returns "points.csv:3: column 2 (height)".
    std::string place(Index line, Index column) const;

  private:
    struct Cell {
        Index line = 0, column = 0;
        std::string text;
    };

    bool read_with_care(std::string_view text, Index line, Index column, const char* hint, NumberText kind,
                        double& value);
    [[noreturn]] void fail_word(std::string_view text, Index line, Index column, const char* hint) const;
    std::string cell_text(const Cell& cell) const;

    const std::string& source_;
    const std::vector<std::string>& names_;
    DecimalMark decimal_;
    bool commas_allowed_;
    Cell point_, comma_;          // the first number with a point and the first with a comma
    bool only_thousands_ = true;  // every comma may separate thousands
    bool watches_points_;         // until the first one, where a comma would be another mark
};

}  // namespace espectra
