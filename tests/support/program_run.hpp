#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace espectra::test {

/// The end of a process and its output.
struct ProgramResult {
    int status = -1;  ///< exit status, or 128 + the signal that ended it
    std::string out, err;
    double seconds = 0;

    /// Returns the single JSON object on standard output.
    nlohmann::json json() const {
        auto parsed = nlohmann::json::parse(out, nullptr, false);
        EXPECT_TRUE(parsed.is_object()) << "not one JSON object: " << out;
        return parsed;
    }
    std::string last_error_line() const {
        const std::string text = err.substr(0, err.find_last_not_of('\n') + 1);
        const auto begin = text.rfind('\n');
        return begin == std::string::npos ? text : text.substr(begin + 1);
    }
};

/// The espectra executable as a process with its own standard output and error. The destructor kills it if it
/// still runs.
class Program {
  public:
    using Setup = std::function<void()>;

    /// `setup` runs in the child before the program starts: limits, user, cores, folder.
    explicit Program(const std::vector<std::string>& arguments, const Setup& setup = {}) {
        const auto out = output_ / "out", err = output_ / "err";
        const int out_file = ::open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        const int err_file = ::open(err.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        // Opened here, as another user may have no access to the build folder.
        const int program = ::open(ESPECTRA_PROGRAM, O_RDONLY | O_CLOEXEC);
        if (out_file < 0 || err_file < 0 || program < 0)
            throw std::runtime_error(std::string("cannot open ") + ESPECTRA_PROGRAM);
        std::vector<std::string> words = {"espectra"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        std::vector<char*> pointers;
        for (std::string& word : words) pointers.push_back(word.data());
        pointers.push_back(nullptr);
        child_ = ::fork();
        if (child_ < 0) throw std::runtime_error("cannot fork");
        if (child_ == 0) {
            ::dup2(out_file, STDOUT_FILENO);
            ::dup2(err_file, STDERR_FILENO);
            if (setup) setup();
            ::fexecve(program, pointers.data(), ::environ);
            ::_exit(127);
        }
        for (const int file : {out_file, err_file, program}) ::close(file);
    }
    ~Program() {
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void signal(int number) const { ::kill(child_, number); }

    /// Waits for the end; a process that takes longer than the limit is killed.
    ProgramResult wait(std::chrono::seconds limit = std::chrono::seconds(60)) {
        int status = 0;
        while (::waitpid(child_, &status, WNOHANG) == 0) {
            if (std::chrono::steady_clock::now() - start_ > limit) ::kill(child_, SIGKILL);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        child_ = -1;
        ProgramResult result;
        result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        result.out = read_bytes(output_ / "out");
        result.err = read_bytes(output_ / "err");
        return result;
    }

  private:
    TemporaryFolder output_;
    pid_t child_ = -1;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

inline ProgramResult run_program(const std::vector<std::string>& arguments,
                                 const Program::Setup& setup = {}) {
    return Program(arguments, setup).wait();
}

/// Waits until `done` returns true, for up to ten seconds.
template <class Condition>
bool wait_until(Condition done) {
    for (int i = 0; i < 5000; ++i) {
        if (done()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
}

/// Expects this exit status and one line on standard error that contains all fragments.
inline void expect_failure(const ProgramResult& result, int status,
                           const std::vector<std::string>& fragments) {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.err.rfind("espectra: ", 0), 0u) << result.err;
    for (const std::string& fragment : fragments) EXPECT_CONTAINS(result.err, fragment);
}

}  // namespace espectra::test
