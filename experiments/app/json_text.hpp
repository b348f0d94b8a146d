#pragma once

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <string>

namespace espectra {

/// Returns the number, or null if it is NaN or infinite.
inline nlohmann::ordered_json number_or_null(double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

/// Returns the JSON text, with replacement characters where a string (such as a path) is not UTF-8.
inline std::string json_text(const nlohmann::ordered_json& json) {
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// Returns one line for each entry of an object: the key in `width` columns and the value, numbers with
/// `digits` significant digits.
inline std::string entries_text(const nlohmann::ordered_json& object, int width, int digits) {
    std::string text;
    for (const auto& [key, value] : object.items())
        text += fmt::format("  {:<{}} {}\n", key, width,
                            value.is_null()           ? "-"
                            : value.is_string()       ? value.get<std::string>()
                            : value.is_number_float() ? fmt::format("{:.{}g}", value.get<double>(), digits)
                                                      : value.dump());
    return text;
}

}  // namespace espectra
