#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"

#include <filesystem>
#include <string>

// Errors of HDF5 files; for the sources of this room only.

namespace espectra {

/// Returns "<path>: <object>: <text>", without the object if it is the root or empty.
std::string message(const std::filesystem::path& path, const std::string& object, const std::string& text);

/// Returns the reason from HDF5's error stack: the system's one ("No space left on device") if there is one,
/// else the innermost description.
std::string hdf5_error_text();

/// Throws InputError.
[[noreturn]] void fail_read(const std::filesystem::path& path, const std::string& object,
                            const std::string& text);
/// Throws InputError for a file that HDF5 cannot read.
[[noreturn]] void fail_damaged(const std::filesystem::path& path, const std::string& object);
/// Throws ResourceError "cannot <action>" with the reason from HDF5's error stack.
[[noreturn]] void fail_write(const std::filesystem::path& path, const std::string& object,
                             const char* action);

/// Throws ResourceError unless the disk has room for `bytes` more in this file with HDF5 identifier `id`.
/// HDF5 does not survive a failing write of its own (the file is lost, and the program may crash at its end),
/// so the room is tried beforehand.
void require_disk_space(const Hdf5File& file, std::int64_t id, const std::string& object, double bytes);

/// Returns the bytes of all text in the attributes.
double text_bytes(const Attributes& attributes);

}  // namespace espectra
