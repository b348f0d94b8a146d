#pragma once

#include "espectra/runtime/timer.hpp"

#include <string>

namespace espectra {

/// "42 s", "3 min 5 s", "2 h 10 min".
std::string duration_text(double seconds);

/// Progress on stderr: one line that is rewritten on a terminal, otherwise a plain line now and then. Silent
/// if `quiet`.
class ProgressLine {
  public:
    explicit ProgressLine(bool quiet);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// `fraction` in [0, 1]; seconds_left NaN: not known yet.
    void show(double fraction, double seconds_left, const std::string& text);
    /// Ends the rewritten line.
    void finish();

  private:
    bool quiet_, terminal_, open_ = false;
    double last_ = -1;
    Timer timer_;
};

}  // namespace espectra
