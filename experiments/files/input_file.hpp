#pragma once

#include "espectra/runtime/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace espectra {

/// Throws InputError "<path>: no such file", "<path>: is a directory" or the system's reason unless `path`
/// can be read, so that every format reports these in the same words.
inline void require_readable_file(const std::filesystem::path& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (status.type() == std::filesystem::file_type::not_found)
        throw InputError(fmt::format("{}: no such file", path.string()));
    if (status.type() == std::filesystem::file_type::none)
        throw InputError(fmt::format("{}: {}", path.string(), error.message()));
    if (status.type() == std::filesystem::file_type::directory)
        throw InputError(fmt::format("{}: is a directory", path.string()));
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0)
        throw InputError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
}

}  // namespace espectra
