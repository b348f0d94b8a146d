#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

namespace espectra {

void require_equal(std::string_view what, long long expected, long long actual, std::source_location where) {
    if (expected != actual)
        throw InputError(fmt::format("{}: expected {}, got {}", what, expected, actual), where);
}

void check_lapack(std::string_view routine, long long info, std::source_location where) {
    if (info < 0)
        throw NumericalError(fmt::format("{}: argument {} has an illegal value", routine, -info), where);
    if (info > 0) throw NumericalError(fmt::format("{} did not converge (info = {})", routine, info), where);
}

}  // namespace espectra
