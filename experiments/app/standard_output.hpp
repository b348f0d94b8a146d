#pragma once

#include <cstdio>
#include <string>

namespace espectra {

/// Writes `text` to standard output at once. A failure sets the stream's error flag, which main checks; it
/// neither throws nor ends a run.
inline void print_text(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

}  // namespace espectra
