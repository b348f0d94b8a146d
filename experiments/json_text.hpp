#pragma once

#include <cmath>

#include <nlohmann/json.hpp>

namespace espectra {

/// A number, or null where it is NaN or infinite.
inline nlohmann::ordered_json number_or_null(double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace espectra
