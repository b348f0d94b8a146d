#pragma once

#include <chrono>

namespace espectra {

/// Seconds of wall time since construction or the last restart, monotonic.
class Timer {
  public:
    double seconds() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }
    void restart() { begin_ = clock::now(); }

  private:
    using clock = std::chrono::steady_clock;
    clock::time_point begin_ = clock::now();
};

}  // namespace espectra
