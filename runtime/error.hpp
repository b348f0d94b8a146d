#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace espectra {

/// Kind of a failure; its value is the exit status of the `espectra` command.
enum class ErrorKind : int {
    input = 2,      ///< wrong use or bad input; the message names file, key and value
    numerical = 3,  ///< diverged, solver failed, certificate violated
    resource = 4,   ///< device, memory or disk
};

/// A failure of the library. `what()` is one line for the user, with the numbers in it; `where()` is the
/// position in the source for the developer.
class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message, std::source_location where)
        : std::runtime_error(message), kind_(kind), where_(where) {}

    ErrorKind kind() const noexcept { return kind_; }
    int exit_status() const noexcept { return static_cast<int>(kind_); }
    const std::source_location& where() const noexcept { return where_; }

  private:
    ErrorKind kind_;
    std::source_location where_;
};

class InputError : public Error {
  public:
    explicit InputError(const std::string& message,
                        std::source_location where = std::source_location::current())
        : Error(ErrorKind::input, message, where) {}
};

class NumericalError : public Error {
  public:
    explicit NumericalError(const std::string& message,
                            std::source_location where = std::source_location::current())
        : Error(ErrorKind::numerical, message, where) {}
};

class ResourceError : public Error {
  public:
    explicit ResourceError(const std::string& message,
                           std::source_location where = std::source_location::current())
        : Error(ErrorKind::resource, message, where) {}
};

/// Throws InputError "<what>: expected <expected>, got <actual>" unless the numbers agree.
void require_equal(std::string_view what, long long expected, long long actual,
                   std::source_location where = std::source_location::current());

/// Throws NumericalError if the status of a LAPACK call is negative (an argument is wrong) or positive (no
/// convergence).
void check_lapack(std::string_view routine, long long info,
                  std::source_location where = std::source_location::current());

}  // namespace espectra
