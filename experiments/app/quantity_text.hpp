#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <string>

namespace espectra {

// Quantities as the command prints them.

/// "42 s", "3 min 5 s", "2 h 10 min".
std::string duration_text(double seconds);

/// "12.3 MB", "1.50 GB".
std::string memory_text(std::size_t bytes);

/// "12.5 %": `part` of `whole`, 0 where that is 0.
std::string percent_text(double part, double whole);

/// "1 worker", "2 workers".
std::string counted(Index count, const std::string& one, const std::string& several);

/// "1 search for a critical point", "2 searches for critical points".
std::string searches_text(Index count);

}  // namespace espectra
