#pragma once

namespace espectra {

/// Exit status of a run that was stopped by a signal.
inline constexpr int interrupted_status = 130;

/// Makes the first SIGINT, SIGTERM or SIGHUP request a stop; a second one ends the process at once.
void catch_signals();

/// Returns true once a signal has requested a stop.
bool stop_signalled();

}  // namespace espectra
