#include "espectra/experiments/files/hdf5_file.hpp"

#include "espectra/experiments/files/hdf5_failure.hpp"
#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace espectra {

namespace {

/// Returns the settings of all files: handles are closed with the file; the format is that of HDF5 1.8, which
/// has checksums in its metadata and no "still open" mark that a killed writer would leave behind.
PropertyList access_properties() {
    // After a failed H5Fclose, HDF5 1.10 would close the same file again at the end of the program and crash.
    [[maybe_unused]] static const herr_t closed_by_us = H5dont_atexit();
    PropertyList list(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_sieve_buf_size(list, 0);  // slabs go to the file at once and in the order they are written
    return list;
}

hid_t open_file(const std::filesystem::path& path, unsigned flags) {
    require_readable_file(path);
    if (flags == H5F_ACC_RDWR && ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0)
        fail_read(path, "", fmt::format("cannot be written: {}", std::strerror(errno)));
    if (H5Fis_hdf5(path.c_str()) <= 0) fail_read(path, "", "not an HDF5 file");
    const PropertyList access = access_properties();
    const hid_t id = H5Fopen(path.c_str(), flags, access);
    if (id >= 0) return id;

    const bool locked = hdf5_error_text() == std::strerror(EAGAIN);  // another process holds the lock
    fail_read(path, "", locked ? "in use by another program" : "truncated or damaged HDF5 file");
}

}  // namespace

Hdf5File Hdf5File::open(const std::filesystem::path& path) {
    const QuietErrors quiet;
    return {path, open_file(path, H5F_ACC_RDONLY)};
}

Hdf5File Hdf5File::open_for_update(const std::filesystem::path& path) {
    const QuietErrors quiet;
    return {path, open_file(path, H5F_ACC_RDWR)};
}

Hdf5File Hdf5File::create(const std::filesystem::path& path) {
    const QuietErrors quiet;
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::symlink_status(path, error)))
        throw InputError(message(path, "", "already exists"));
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
        throw InputError(message(path, "", fmt::format("cannot create: {}", std::strerror(errno))));
    const PropertyList access = access_properties();
    const PropertyList creation(H5Pcreate(H5P_FILE_CREATE));
    H5Pset_obj_track_times(creation, false);
    const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation, access);
    if (id < 0) fail_write(path, "", "create");
    return {path, id};
}

Hdf5File::Hdf5File(Hdf5File&& other) noexcept
    : path_(std::move(other.path_)), id_(std::exchange(other.id_, -1)) {}

Hdf5File& Hdf5File::operator=(Hdf5File&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(id_, other.id_);
    return *this;
}

Hdf5File::~Hdf5File() {
    if (id_ < 0) return;
    const QuietErrors quiet;
    H5Fclose(id_);
}

bool Hdf5File::exists(const std::string& name) const {
    const QuietErrors quiet;
    if (is_root(name)) return true;
    // H5Lexists is an error unless all the groups before the last link exist.
    for (std::size_t end = 0; end != std::string::npos;) {
        end = name.find('/', end + 1);
        const std::string prefix = name.substr(0, end);
        if (is_root(prefix)) continue;
        const htri_t found = H5Lexists(id_, prefix.c_str(), H5P_DEFAULT);
        if (found < 0) fail_damaged(path_, prefix);
        if (found == 0) return false;
        if (end != std::string::npos && kind_of(id_, prefix) != H5I_GROUP) return false;
    }
    return H5Oexists_by_name(id_, name.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Hdf5File::groups(const std::string& group) const {
    const QuietErrors quiet;
    if (!exists(group) || kind_of(id_, group) != H5I_GROUP)
        fail_read(path_, "", fmt::format("no group \"{}\"", group));
    H5G_info_t info;
    if (H5Gget_info_by_name(id_, rooted(group), &info, H5P_DEFAULT) < 0) fail_damaged(path_, group);
    std::vector<std::string> names;
    for (hsize_t i = 0; i < info.nlinks; ++i) {
        const auto link_name = [&](char* text, std::size_t size) {
            const auto length = H5Lget_name_by_idx(id_, rooted(group), H5_INDEX_NAME, H5_ITER_INC, i, text,
                                                   size, H5P_DEFAULT);
            if (length < 0) fail_damaged(path_, group);
            return static_cast<std::size_t>(length);
        };
        std::string name(link_name(nullptr, 0), '\0');
        link_name(name.data(), name.size() + 1);
        if (kind_of(id_, fmt::format("{}/{}", rooted(group), name)) == H5I_GROUP) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

void Hdf5File::create_groups(const std::string& name) {
    const PropertyList creation(H5Pcreate(H5P_GROUP_CREATE));
    H5Pset_obj_track_times(creation, false);
    for (std::size_t end = 0; end != std::string::npos;) {
        end = name.find('/', end + 1);
        const std::string prefix = name.substr(0, end);
        if (is_root(prefix) || exists(prefix)) continue;
        const hid_t group = H5Gcreate2(id_, prefix.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT);
        if (group < 0) fail_write(path_, prefix, "create group");
        H5Gclose(group);
    }
}

void Hdf5File::create_group(const std::string& name, const Attributes& attributes) {
    const QuietErrors quiet;
    if (exists(name)) throw ResourceError(message(path_, name, "cannot create group: name already exists"));
    require_disk_space(*this, id_, name, text_bytes(attributes));
    create_groups(name);
    if (attributes.empty()) return;
    const Object group(H5Oopen(id_, name.c_str(), H5P_DEFAULT));
    write_attributes(group, name, attributes);
}

void Hdf5File::link(const std::string& existing, const std::string& name) {
    const QuietErrors quiet;
    require_disk_space(*this, id_, name, 0.0);
    create_groups(parent_of(name));
    if (H5Lcreate_hard(id_, existing.c_str(), id_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
        fail_write(path_, name, "link");
}

void Hdf5File::flush() {
    const QuietErrors quiet;
    if (H5Fflush(id_, H5F_SCOPE_LOCAL) < 0) fail_write(path_, "", "write");
}

void Hdf5File::close() {
    if (id_ < 0) return;
    const QuietErrors quiet;
    if (H5Fclose(std::exchange(id_, -1)) < 0) fail_write(path_, "", "close");
}

}  // namespace espectra
