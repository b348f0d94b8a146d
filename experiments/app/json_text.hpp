#pragma once

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <string>

namespace espectra {

/// A number, or null where it is NaN or infinite.
inline nlohmann::ordered_json number_or_null(double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

/// Text that is not UTF-8 (a path may be anything) comes with replacement characters.
inline std::string json_text(const nlohmann::ordered_json& json) {
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// One line for each entry of an object: the key in `width` columns and the value, numbers with `digits`.
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
