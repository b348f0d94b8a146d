#include "espectra/experiments/files/hdf5_failure.hpp"

#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/runtime/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace espectra {

std::string message(const std::filesystem::path& path, const std::string& object, const std::string& text) {
    return object.empty() || object == "/" ? fmt::format("{}: {}", path.string(), text)
                                           : fmt::format("{}: {}: {}", path.string(), object, text);
}

std::string hdf5_error_text() {
    std::string text;
    const auto visit = [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
        auto& found = *static_cast<std::string*>(out);
        const std::string description = entry->desc != nullptr ? entry->desc : "";
        constexpr std::string_view marker = "error message = '";
        const auto begin = description.find(marker);
        if (begin == std::string::npos) {
            if (found.empty()) found = description;
            return 0;
        }
        const auto reason = begin + marker.size();
        found = description.substr(reason, description.find('\'', reason) - reason);
        return 1;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &text);
    return text.empty() ? "unknown HDF5 error" : text;
}

void fail_read(const std::filesystem::path& path, const std::string& object, const std::string& text) {
    throw InputError(message(path, object, text));
}

void fail_damaged(const std::filesystem::path& path, const std::string& object) {
    fail_read(path, object, "cannot be read: truncated or damaged HDF5 file");
}

void fail_write(const std::filesystem::path& path, const std::string& object, const char* action) {
    throw ResourceError(message(path, object, fmt::format("cannot {}: {}", action, hdf5_error_text())));
}

void require_disk_space(const Hdf5File& file, std::int64_t id, const std::string& object, double bytes) {
    constexpr double metadata = 65536.0;
    void* descriptor = nullptr;
    hsize_t end = 0;
    struct stat status;
    if (H5Fget_vfd_handle(id, H5P_DEFAULT, &descriptor) < 0 || H5Fget_filesize(id, &end) < 0 ||
        ::fstat(*static_cast<int*>(descriptor), &status) != 0)
        return;  // not an open file: the operation itself reports that
    const double wanted =
        std::max(static_cast<double>(end) - static_cast<double>(status.st_size), 0.0) + bytes + metadata;
    const int error = wanted < 0x1p62 ? ::posix_fallocate(*static_cast<int*>(descriptor), status.st_size,
                                                          static_cast<off_t>(wanted))
                                      : EFBIG;
    const bool restored = ::ftruncate(*static_cast<int*>(descriptor), status.st_size) == 0;
    if (error == ENOSPC || error == EFBIG || error == EDQUOT || (error == 0 && !restored))
        throw ResourceError(message(file.path(), object,
                                    fmt::format("cannot create: {} ({:.3g} GB)",
                                                std::strerror(error != 0 ? error : errno), bytes / 1e9)));
}

}  // namespace espectra
