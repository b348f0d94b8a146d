#pragma once

#include "espectra/runtime/timer.hpp"

#include <string>

namespace espectra {

/// Progress on stderr: one line that is rewritten on a terminal, otherwise a plain line every ten seconds.
/// Silent if `quiet`.
class ProgressLine {
  public:
    explicit ProgressLine(bool quiet);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// `fraction` in [0, 1]; `seconds_left` is NaN while it is not known.
    void show(double fraction, double seconds_left, const std::string& text);
    /// Ends the rewritten line.
    void finish();

  private:
    bool quiet_, terminal_, open_ = false;
    double last_ = -1;
    Timer timer_;
};

}  // namespace espectra
