#pragma once

#include <string_view>

namespace espectra {

enum class NumberText { number, out_of_range, word };

/// Reads a decimal number that fills `text`: digits with a point, an exponent and a sign ("+1", ".5", "1.",
/// "1e3"), or "inf" and "nan". Numbers too small for a double are 0, those too large are `out_of_range`.
NumberText parse_number(std::string_view text, double& value);

/// Reads a number with a comma in place of the point ("1,5"), which is followed by a digit.
NumberText parse_decimal_comma(std::string_view text, double& value);

/// Reads "true" as 1 and "false" as 0, in upper or lower case; returns false for any other text.
bool parse_boolean(std::string_view text, double& value);

/// Returns true if commas may separate thousands: "1,234", "-12,345,678".
bool may_have_thousands(std::string_view text);

/// Returns true for the texts by which programs mark a missing value: nothing, "?", "NA", "N/A", "NaN",
/// "null", "None" and the like, in upper or lower case.
bool is_missing(std::string_view text);

}  // namespace espectra
