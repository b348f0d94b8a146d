#pragma once

#include <cstdint>
#include <limits>

namespace espectra::ptx::test {

// Numbers at the limits of the types, for the tables of forms.

inline constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min();
inline constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t least64 = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t most64 = std::numeric_limits<std::int64_t>::max();

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double largest = std::numeric_limits<double>::max();
inline constexpr double tiny = std::numeric_limits<double>::denorm_min();  ///< 2^−1074
inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace espectra::ptx::test
