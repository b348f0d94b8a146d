#pragma once

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

}  // namespace espectra
