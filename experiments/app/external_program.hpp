#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// A program that carries out a command of this one: espectra-report for `espectra report`, next to this
/// program or in PATH.
class ExternalProgram {
  public:
    explicit ExternalProgram(std::string_view command);

    const std::string& name() const { return name_; }

    /// Returns true if there is one that can be executed.
    bool found() const { return !path_.empty(); }

    /// Replaces this process; returns only if that fails. `arguments`: argv of the new process, ends with a
    /// null.
    void execute(char** arguments) const;

    /// Destinations of its standard output.
    enum class Output { standard, error, nowhere };

    /// Runs it, waits for its end and returns its exit status, or 128 + the signal that ended it. Sends it
    /// SIGTERM once `stop` returns true. Throws ResourceError if it cannot be started.
    int run(const std::vector<std::string>& arguments, Output output,
            const std::function<bool()>& stop) const;

  private:
    std::string name_;
    std::filesystem::path path_;
};

}  // namespace espectra
