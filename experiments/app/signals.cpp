#include "espectra/experiments/app/signals.hpp"

#include <atomic>
#include <csignal>

namespace espectra {

namespace {
std::atomic<bool> signalled{false};
}  // namespace

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) { signalled = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    // A terminal that closes is an interruption too, unless the program runs under nohup.
    struct sigaction hangup {};
    if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, nullptr);
}

bool stop_signalled() { return signalled; }

}  // namespace espectra
