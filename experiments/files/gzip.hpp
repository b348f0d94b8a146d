#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace espectra {

/// Decompresses the members of a gzip file one after another. `name` is the file in errors: InputError
/// "<name>: truncated gzip file" or "<name>: damaged gzip file".
std::string gunzip(std::string_view bytes, const std::string& name);

/// Reads a whole file, and decompresses it if its content is gzip, whatever its name. Throws InputError for a
/// file that cannot be read, and for pipes and devices, which give their content once.
std::string read_plain_or_gzip(const std::filesystem::path& path);

}  // namespace espectra
