#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// Programs that are commands of this one: `espectra report` is espectra-report, beside this program or in
/// PATH.
class ExternalProgram {
  public:
    explicit ExternalProgram(std::string_view command);

    const std::string& name() const { return name_; }

    /// Whether there is one that can be executed.
    bool found() const { return !path_.empty(); }

    /// Replaces this process; returns only if that fails. arguments: argv of the new process, ends with a
    /// null.
    void execute(char** arguments) const;

    /// Where its standard output goes.
    enum class Output { standard, error, nowhere };

    /// Runs it and waits: its exit status, 128 + signal if one ended it. When `stop` says so it is asked to
    /// end (SIGTERM). ResourceError if it cannot be started.
    int run(const std::vector<std::string>& arguments, Output output,
            const std::function<bool()>& stop) const;

  private:
    std::string name_;
    std::filesystem::path path_;
};

}  // namespace espectra
