#include "espectra/experiments/app/progress.hpp"

#include "espectra/experiments/app/quantity_text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace espectra {

namespace {
constexpr double plain_interval = 10;  // seconds between lines that are not rewritten
constexpr double terminal_interval = 0.2;

/// Ignores failures: a progress line that cannot be written is no reason to stop.
void to_stderr(const std::string& text) { std::fputs(text.c_str(), stderr); }
}  // namespace

ProgressLine::ProgressLine(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::show(double fraction, double seconds_left, const std::string& text) {
    if (quiet_) return;
    const double now = timer_.seconds();
    if (last_ >= 0 && now - last_ < (terminal_ ? terminal_interval : plain_interval)) return;
    last_ = now;
    const std::string left = std::isnan(seconds_left) ? "estimating" : duration_text(seconds_left) + " left";
    if (terminal_) {
        constexpr int width = 30;
        const int filled = static_cast<int>(fraction * width);
        to_stderr(fmt::format(
            "\r[{}{}] {:3.0f} %  {}  {}\033[K", std::string(static_cast<std::size_t>(filled), '#'),
            std::string(static_cast<std::size_t>(width - filled), '.'), 100 * fraction, text, left));
        open_ = true;
    } else {
        to_stderr(fmt::format("{:3.0f} %  {}  {}\n", 100 * fraction, text, left));
    }
}

void ProgressLine::finish() {
    if (open_) to_stderr("\r\033[K");
    open_ = false;
}

}  // namespace espectra
