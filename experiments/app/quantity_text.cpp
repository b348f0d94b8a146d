#include "espectra/experiments/app/quantity_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace espectra {

std::string duration_text(double seconds) {
    const auto total = static_cast<long>(std::lround(std::max(0.0, seconds)));
    if (total < 60) return fmt::format("{} s", total);
    if (total < 3600) return fmt::format("{} min {} s", total / 60, total % 60);
    return fmt::format("{} h {} min", total / 3600, total % 3600 / 60);
}

std::string memory_text(std::size_t bytes) {
    const auto size = static_cast<double>(bytes);
    return size < 1e8 ? fmt::format("{:.3g} MB", size / 1e6) : fmt::format("{:.2f} GB", size / 1e9);
}

std::string percent_text(double part, double whole) {
    return fmt::format("{:.1f} %", whole > 0 ? 100 * part / whole : 0.0);
}

std::string counted(Index count, const std::string& one, const std::string& several) {
    return fmt::format("{} {}", count, count == 1 ? one : several);
}

std::string searches_text(Index count) {
    return counted(count, "search for a critical point", "searches for critical points");
}

}  // namespace espectra
