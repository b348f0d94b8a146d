#include "espectra/experiments/app/external_program.hpp"

#include "espectra/runtime/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <thread>

namespace espectra {

namespace {

bool executable(const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

ExternalProgram::ExternalProgram(std::string_view command) : name_(fmt::format("espectra-{}", command)) {
    if (name_.find('/') != std::string::npos) return;
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error && executable(self.parent_path() / name_)) {
        path_ = self.parent_path() / name_;
        return;
    }
    const char* folders = std::getenv("PATH");
    std::istringstream list(folders ? folders : "");
    for (std::string folder; std::getline(list, folder, ':');)
        if (const auto path = std::filesystem::path(folder.empty() ? "." : folder) / name_;
            executable(path)) {
            path_ = path;
            return;
        }
}

void ExternalProgram::execute(char** arguments) const { execv(path_.c_str(), arguments); }

int ExternalProgram::run(const std::vector<std::string>& arguments, Output output,
                         const std::function<bool()>& stop) const {
    std::vector<char*> argv{const_cast<char*>(name_.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (output == Output::error) posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (output == Output::nowhere)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t ignored_here;  // which the child is not to inherit
    sigemptyset(&ignored_here);
    sigaddset(&ignored_here, SIGPIPE);
    sigaddset(&ignored_here, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes, &ignored_here);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    pid_t child = 0;
    const int error = posix_spawn(&child, path_.c_str(), &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0)
        throw ResourceError(
            fmt::format("{}: cannot be started: {}", path_.string(), std::generic_category().message(error)));
    int status = 0;
    bool asked = false;
    for (;;) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (ended < 0 && errno != EINTR)
            throw ResourceError(fmt::format("{}: cannot be waited for: {}", path_.string(),
                                            std::generic_category().message(errno)));
        if (!asked && stop()) {
            kill(child, SIGTERM);
            asked = true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

}  // namespace espectra
