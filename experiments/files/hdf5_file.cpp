#include "espectra/experiments/files/hdf5_file.hpp"

#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace espectra {

namespace {

template <class T>
hid_t memory_type() {
    return std::is_same_v<T, double> ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
}
template <class T>
hid_t file_type() {
    return std::is_same_v<T, double> ? H5T_IEEE_F64LE : H5T_STD_I64LE;
}

std::string message(const std::filesystem::path& path, const std::string& object, const std::string& text) {
    return object.empty() || object == "/" ? fmt::format("{}: {}", path.string(), text)
                                           : fmt::format("{}: {}: {}", path.string(), object, text);
}

[[noreturn]] void fail_read(const std::filesystem::path& path, const std::string& object,
                            const std::string& text) {
    throw InputError(message(path, object, text));
}

[[noreturn]] void fail_damaged(const std::filesystem::path& path, const std::string& object) {
    fail_read(path, object, "cannot be read: truncated or damaged HDF5 file");
}

[[noreturn]] void fail_write(const std::filesystem::path& path, const std::string& object,
                             const char* action) {
    throw ResourceError(message(path, object, fmt::format("cannot {}: {}", action, hdf5_error_text())));
}

/// Bytes of `count` elements of 8 bytes, or an error where this machine cannot hold them: HDF5 files may
/// announce any extents.
std::size_t checked_size(const std::filesystem::path& path, const std::string& name,
                         const std::vector<Index>& extents) {
    Index count = 1;
    for (const Index extent : extents)
        if (extent < 0 || __builtin_mul_overflow(count, extent, &count)) fail_damaged(path, name);
    const double bytes = static_cast<double>(count) * sizeof(double);
    const double memory =
        static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    if (bytes > memory)
        throw ResourceError(
            message(path, name,
                    fmt::format("needs {:.1f} GB, this machine has {:.1f} GB", bytes / 1e9, memory / 1e9)));
    return static_cast<std::size_t>(count);
}

template <class T>
std::vector<T> allocate(const std::filesystem::path& path, const std::string& name, std::size_t count) {
    try {
        return std::vector<T>(count);
    } catch (const std::bad_alloc&) {
        throw ResourceError(
            message(path, name,
                    fmt::format("no memory for {:.1f} GB", static_cast<double>(count * sizeof(T)) / 1e9)));
    }
}

/// The class of numbers that convert to double and int64_t; booleans of h5py are enumerations over integers.
bool is_numeric(H5T_class_t kind) { return kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM; }

/// Reads `count` numbers stored as `type` by read(memory type, destination) and converts them to T without
/// loss: a fraction or an overflow on the way to int64_t is an error.
template <class T, class Read>
std::vector<T> read_numbers(const std::filesystem::path& path, const std::string& object, hid_t type,
                            std::size_t count, Read read) {
    const H5T_class_t kind = H5Tget_class(type);
    if (!is_numeric(kind)) fail_read(path, object, "expected numbers");
    const auto read_as = [&]<class Source>(hid_t memory, std::vector<Source>& values) {
        if (count > 0 && read(memory, values.data()) < 0) fail_damaged(path, object);
    };
    std::vector<T> result = allocate<T>(path, object, count);
    if constexpr (std::is_same_v<T, std::int64_t>) {
        if (kind == H5T_FLOAT) {
            auto values = allocate<double>(path, object, count);
            read_as(H5T_NATIVE_DOUBLE, values);
            for (std::size_t i = 0; i < count; ++i) {
                if (values[i] != std::floor(values[i]) || !(std::abs(values[i]) < 0x1p63))
                    fail_read(path, object, fmt::format("expected integers, got {}", values[i]));
                result[i] = static_cast<std::int64_t>(values[i]);
            }
            return result;
        }
        if (kind == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE) {
            auto values = allocate<std::uint64_t>(path, object, count);
            read_as(H5T_NATIVE_UINT64, values);
            for (std::size_t i = 0; i < count; ++i) {
                if (values[i] > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                    fail_read(path, object, fmt::format("{} is too large", values[i]));
                result[i] = static_cast<std::int64_t>(values[i]);
            }
            return result;
        }
    }
    read_as(memory_type<T>(), result);
    return result;
}

Dataset open_dataset(const Hdf5File& file, hid_t id, const std::string& name) {
    if (!file.exists(name)) fail_read(file.path(), "", fmt::format("no dataset \"{}\"", name));
    const H5I_type_t kind = kind_of(id, name);
    if (kind == H5I_BADID) fail_damaged(file.path(), name);
    if (kind != H5I_DATASET) fail_read(file.path(), "", fmt::format("\"{}\" is not a dataset", name));
    Dataset dataset(H5Dopen2(id, name.c_str(), H5P_DEFAULT));
    if (!dataset.valid()) fail_damaged(file.path(), name);
    return dataset;
}

/// Extents of a dataspace; {0} for an empty one.
std::vector<Index> extents_of(const Hdf5File& file, const std::string& name, hid_t space) {
    const H5S_class_t kind = H5Sget_simple_extent_type(space);
    if (kind == H5S_NULL) return {0};
    const int rank = H5Sget_simple_extent_ndims(space);
    if (kind == H5S_NO_CLASS || rank < 0) fail_damaged(file.path(), name);
    std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
    if (rank > 0 && H5Sget_simple_extent_dims(space, extents.data(), nullptr) < 0)
        fail_damaged(file.path(), name);
    for (const hsize_t extent : extents)
        if (extent > static_cast<hsize_t>(std::numeric_limits<Index>::max())) fail_damaged(file.path(), name);
    return {extents.begin(), extents.end()};
}

std::vector<hsize_t> to_hsize(const std::vector<Index>& values) { return {values.begin(), values.end()}; }

Dataspace make_space(const std::vector<Index>& extents) {
    if (extents.empty()) return Dataspace(H5Screate(H5S_SCALAR));
    const auto sizes = to_hsize(extents);
    return Dataspace(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr));
}

std::string join(const std::vector<Index>& values, const char* separator) {
    std::string text;
    for (const Index value : values) {
        if (!text.empty()) text += separator;
        text += value < 0 ? "any" : std::to_string(value);
    }
    return text;
}

std::string shape_text(const std::vector<Index>& extents) {
    return extents.empty() ? "a scalar" : join(extents, " x ");
}

/// A contiguous dataset holds as many bytes as its extents say, and the file as many as the dataset: a header
/// that announces more is damaged.
void require_stored(const Hdf5File& file, const std::string& name, hid_t dataset, hid_t type,
                    std::size_t count) {
    const PropertyList layout(H5Dget_create_plist(dataset));
    if (!layout.valid()) fail_damaged(file.path(), name);
    if (H5Pget_layout(layout) != H5D_CONTIGUOUS || H5Pget_external_count(layout) > 0) return;
    std::error_code error;
    const auto bytes = static_cast<double>(std::filesystem::file_size(file.path(), error));
    if (!error && static_cast<double>(count) * static_cast<double>(H5Tget_size(type)) > bytes)
        fail_damaged(file.path(), name);
}

std::string attribute_label(const std::string& object, const std::string& name) {
    return is_root(object) ? fmt::format("attribute \"{}\"", name)
                           : fmt::format("{}: attribute \"{}\"", object, name);
}

Attribute open_attribute(const Hdf5File& file, hid_t id, const std::string& object, const std::string& name) {
    if (!file.has_attribute(object, name))
        fail_read(file.path(), "", fmt::format("no {}", attribute_label(object, name)));
    Attribute attribute(H5Aopen_by_name(id, rooted(object), name.c_str(), H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute.valid()) fail_damaged(file.path(), attribute_label(object, name));
    return attribute;
}

Object open_object(const Hdf5File& file, hid_t id, const std::string& object, const std::string& attribute) {
    Object opened(H5Oopen(id, rooted(object), H5P_DEFAULT));
    if (!opened.valid()) fail_write(file.path(), attribute_label(object, attribute), "write");
    return opened;
}

/// Opens the attribute where it exists with this type and shape, else creates it (replacing what has its
/// name). Not by H5Aopen_by_name: what HDF5 1.10 opens in that way cannot be written.
Attribute prepare_attribute(const Hdf5File& file, hid_t object, const std::string& label,
                            const std::string& name, hid_t type, hid_t space) {
    const htri_t found = H5Aexists(object, name.c_str());
    if (found < 0) fail_write(file.path(), label, "write");
    if (found > 0) {
        Attribute attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT));
        if (!attribute.valid()) fail_write(file.path(), label, "write");
        const Datatype old_type(H5Aget_type(attribute));
        const Dataspace old_space(H5Aget_space(attribute));
        if (H5Tequal(old_type, type) > 0 && H5Sextent_equal(old_space, space) > 0) return attribute;
        if (H5Adelete(object, name.c_str()) < 0) fail_write(file.path(), label, "replace");
    }
    Attribute attribute(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute.valid()) fail_write(file.path(), label, "create");
    return attribute;
}

/// Throws ResourceError unless the disk has room for `bytes` more in this file. HDF5 does not survive a
/// failing write of its own (the file is lost, and the program may crash at its end), so the room is tried
/// beforehand.
void require_disk_space(const Hdf5File& file, hid_t id, const std::string& object, double bytes) {
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

template <class T>
void write_attribute(const Hdf5File& file, hid_t id, const std::string& object, const std::string& name,
                     const Dataspace& space, const T* values) {
    const std::string label = attribute_label(object, name);
    require_disk_space(file, id, label, 0.0);
    const Object opened = open_object(file, id, object, name);
    const Attribute attribute = prepare_attribute(file, opened, label, name, file_type<T>(), space);
    if (values != nullptr && H5Awrite(attribute, memory_type<T>(), values) < 0)
        fail_write(file.path(), label, "write");
}

/// Creates `name` and the groups above it that are missing. Without modification times, so that equal runs
/// give equal files.
void create_groups(const Hdf5File& file, hid_t id, const std::string& name) {
    const PropertyList creation(H5Pcreate(H5P_GROUP_CREATE));
    H5Pset_obj_track_times(creation, false);
    for (std::size_t end = 0; end != std::string::npos;) {
        end = name.find('/', end + 1);
        const std::string prefix = name.substr(0, end);
        if (is_root(prefix) || file.exists(prefix)) continue;
        const hid_t group = H5Gcreate2(id, prefix.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT);
        if (group < 0) fail_write(file.path(), prefix, "create group");
        H5Gclose(group);
    }
}

/// Handles are closed with the file; the file format of HDF5 1.8 has checksums in its metadata and no
/// "still open" mark that a killed writer would leave behind.
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
    // HDF5 answers for the last link only where all the groups before it exist.
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

std::vector<Index> Hdf5File::extents(const std::string& name) const {
    const QuietErrors quiet;
    const Dataset dataset = open_dataset(*this, id_, name);
    const Dataspace space(H5Dget_space(dataset));
    return extents_of(*this, name, space);
}

template <class T>
std::vector<T> Hdf5File::read(const std::string& name, const std::vector<Index>& expected) const {
    const QuietErrors quiet;
    const Dataset dataset = open_dataset(*this, id_, name);
    const Dataspace space(H5Dget_space(dataset));
    const Datatype type(H5Dget_type(dataset));
    const std::vector<Index> actual = extents_of(*this, name, space);
    const auto matches = [](Index wanted, Index extent) { return wanted < 0 || wanted == extent; };
    if (!expected.empty() &&
        !std::equal(expected.begin(), expected.end(), actual.begin(), actual.end(), matches))
        fail_read(path_, name, fmt::format("expected {}, got {}", shape_text(expected), shape_text(actual)));
    const std::size_t count = checked_size(path_, name, actual);
    require_stored(*this, name, dataset, type, count);
    return read_numbers<T>(path_, name, type, count, [&](hid_t memory, void* values) {
        return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    });
}

template <class T>
std::vector<T> Hdf5File::read_slab(const std::string& name, std::vector<Index> begin,
                                   std::vector<Index> count) const {
    const QuietErrors quiet;
    const Dataset dataset = open_dataset(*this, id_, name);
    const Dataspace space(H5Dget_space(dataset));
    const Datatype type(H5Dget_type(dataset));
    const std::vector<Index> extents = extents_of(*this, name, space);
    bool inside = !extents.empty() && begin.size() == count.size() && begin.size() <= extents.size();
    for (std::size_t axis = 0; inside && axis < begin.size(); ++axis)
        inside = begin[axis] >= 0 && count[axis] >= 0 && count[axis] <= extents[axis] - begin[axis];
    if (!inside)
        fail_read(path_, name,
                  fmt::format("expected {} entries from ({}) on, got {}", shape_text(count),
                              join(begin, ", "), shape_text(extents)));
    require_stored(*this, name, dataset, type, checked_size(path_, name, extents));
    for (std::size_t axis = begin.size(); axis < extents.size(); ++axis) {
        begin.push_back(0);
        count.push_back(extents[axis]);
    }
    const std::size_t size = checked_size(path_, name, count);
    const Dataspace memory_space = make_space(count);
    if (size > 0 &&
        (!memory_space.valid() || H5Sselect_hyperslab(space, H5S_SELECT_SET, to_hsize(begin).data(), nullptr,
                                                      to_hsize(count).data(), nullptr) < 0))
        fail_damaged(path_, name);
    return read_numbers<T>(path_, name, type, size, [&](hid_t memory, void* values) {
        return H5Dread(dataset, memory, memory_space, space, H5P_DEFAULT, values);
    });
}

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
    const QuietErrors quiet;
    if (!exists(object)) return false;
    const htri_t found = H5Aexists_by_name(id_, rooted(object), name.c_str(), H5P_DEFAULT);
    if (found < 0) fail_damaged(path_, attribute_label(object, name));
    return found > 0;
}

std::string Hdf5File::attribute_string(const std::string& object, const std::string& name) const {
    const QuietErrors quiet;
    const std::string label = attribute_label(object, name);
    const Attribute attribute = open_attribute(*this, id_, object, name);
    const Datatype type(H5Aget_type(attribute));
    const Dataspace space(H5Aget_space(attribute));
    if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
        fail_read(path_, label, "expected one string");
    // Read in the file's own string type: HDF5 does not convert between character sets.
    if (H5Tis_variable_str(type) > 0) {
        char* text = nullptr;
        if (H5Aread(attribute, type, &text) < 0) fail_damaged(path_, label);
        std::string value = text != nullptr ? text : "";
        H5free_memory(text);
        return value;
    }
    std::string value(H5Tget_size(type), '\0');
    if (H5Aget_storage_size(attribute) != value.size() || H5Aread(attribute, type, value.data()) < 0)
        fail_damaged(path_, label);
    value.resize(std::min(value.find('\0'), value.size()));
    if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) value.resize(value.find_last_not_of(' ') + 1);
    return value;
}

template <class T>
std::vector<T> Hdf5File::attribute(const std::string& object, const std::string& name) const {
    const QuietErrors quiet;
    const std::string label = attribute_label(object, name);
    const Attribute attribute = open_attribute(*this, id_, object, name);
    const Datatype type(H5Aget_type(attribute));
    const Dataspace space(H5Aget_space(attribute));
    const std::vector<Index> extents = extents_of(*this, label, space);
    if (extents.size() > 1)
        fail_read(path_, label, fmt::format("expected a number or a list, got {}", shape_text(extents)));
    const std::size_t count = checked_size(path_, label, extents);
    return read_numbers<T>(path_, label, type, count,
                           [&](hid_t memory, void* values) { return H5Aread(attribute, memory, values); });
}

void Hdf5File::create_group(const std::string& name) {
    const QuietErrors quiet;
    if (exists(name)) throw ResourceError(message(path_, name, "cannot create group: name already exists"));
    require_disk_space(*this, id_, name, 0.0);
    create_groups(*this, id_, name);
}

template <class T>
void Hdf5File::create_dataset(const std::string& name, const std::vector<Index>& extents) {
    const QuietErrors quiet;
    const Dataspace space = make_space(extents);
    const PropertyList creation(H5Pcreate(H5P_DATASET_CREATE));
    const T fill = std::is_same_v<T, double> ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(-1);
    // No modification times: every write would touch the dataset's header, and equal runs would give unequal
    // files.
    const bool prepared = space.valid() && creation.valid() && H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
                          H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 &&
                          H5Pset_fill_time(creation, H5D_FILL_TIME_ALLOC) >= 0 &&
                          H5Pset_fill_value(creation, memory_type<T>(), &fill) >= 0 &&
                          H5Pset_obj_track_times(creation, false) >= 0;
    if (!prepared) fail_write(path_, name, "create");
    double bytes = sizeof(T);
    for (const Index extent : extents) bytes *= static_cast<double>(extent);
    require_disk_space(*this, id_, name, bytes);
    create_groups(*this, id_, parent_of(name));
    const Dataset dataset(
        H5Dcreate2(id_, name.c_str(), file_type<T>(), space, H5P_DEFAULT, creation, H5P_DEFAULT));
    if (!dataset.valid()) fail_write(path_, name, "create");
}

template <class T>
void Hdf5File::write_slab(const std::string& name, const std::vector<Index>& begin,
                          const std::vector<Index>& count, const T* data) {
    const QuietErrors quiet;
    const Dataset dataset = open_dataset(*this, id_, name);
    const Dataspace space(H5Dget_space(dataset));
    const std::vector<Index> extents = extents_of(*this, name, space);
    bool inside = begin.size() == extents.size() && count.size() == extents.size();
    for (std::size_t axis = 0; inside && axis < extents.size(); ++axis)
        inside = begin[axis] >= 0 && count[axis] >= 0 && count[axis] <= extents[axis] - begin[axis];
    if (!inside)
        throw InputError(message(path_, name,
                                 fmt::format("cannot write {} from ({}) on into {}", shape_text(count),
                                             join(begin, ", "), shape_text(extents))));
    if (std::find(count.begin(), count.end(), 0) != count.end()) return;
    const Dataspace memory_space = make_space(count);
    const bool selected =
        memory_space.valid() &&
        (extents.empty() || H5Sselect_hyperslab(space, H5S_SELECT_SET, to_hsize(begin).data(), nullptr,
                                                to_hsize(count).data(), nullptr) >= 0);
    if (!selected || H5Dwrite(dataset, memory_type<T>(), memory_space, space, H5P_DEFAULT, data) < 0)
        fail_write(path_, name, "write");
}

template <class T>
void Hdf5File::write(const std::string& name, const std::vector<Index>& extents, const std::vector<T>& data) {
    Index size = 1;
    for (const Index extent : extents) size *= extent;
    require_equal(message(path_, name, "numbers to write"), size, static_cast<Index>(data.size()));
    create_dataset<T>(name, extents);
    write_slab<T>(name, std::vector<Index>(extents.size(), 0), extents, data.data());
}

void Hdf5File::link(const std::string& existing, const std::string& name) {
    const QuietErrors quiet;
    require_disk_space(*this, id_, name, 0.0);
    create_groups(*this, id_, parent_of(name));
    if (H5Lcreate_hard(id_, existing.c_str(), id_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
        fail_write(path_, name, "link");
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name, const std::string& value) {
    const QuietErrors quiet;
    const Datatype type(H5Tcopy(H5T_C_S1));
    const Dataspace space(H5Screate(H5S_SCALAR));
    if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        fail_write(path_, attribute_label(object, name), "write");
    const std::string label = attribute_label(object, name);
    require_disk_space(*this, id_, label, static_cast<double>(value.size()));
    const Object opened = open_object(*this, id_, object, name);
    const Attribute attribute = prepare_attribute(*this, opened, label, name, type, space);
    const char* const text = value.c_str();
    if (H5Awrite(attribute, type, &text) < 0) fail_write(path_, label, "write");
}

template <class T>
void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             const std::vector<T>& values) {
    const QuietErrors quiet;
    const Dataspace space = make_space({static_cast<Index>(values.size())});
    write_attribute<T>(*this, id_, object, name, space, values.empty() ? nullptr : values.data());
}

template <class T>
requires std::is_arithmetic_v<T>
void Hdf5File::set_attribute(const std::string& object, const std::string& name, T value) {
    const QuietErrors quiet;
    write_attribute<T>(*this, id_, object, name, make_space({}), &value);
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

#define ESPECTRA_HDF5_INSTANTIATE(T)                                                                        \
    template std::vector<T> Hdf5File::read<T>(const std::string&, const std::vector<Index>&) const;         \
    template std::vector<T> Hdf5File::read_slab<T>(const std::string&, std::vector<Index>,                  \
                                                   std::vector<Index>) const;                               \
    template std::vector<T> Hdf5File::attribute<T>(const std::string&, const std::string&) const;           \
    template void Hdf5File::create_dataset<T>(const std::string&, const std::vector<Index>&);               \
    template void Hdf5File::write_slab<T>(const std::string&, const std::vector<Index>&,                    \
                                          const std::vector<Index>&, const T*);                             \
    template void Hdf5File::write<T>(const std::string&, const std::vector<Index>&, const std::vector<T>&); \
    template void Hdf5File::set_attribute<T>(const std::string&, const std::string&, T);                    \
    template void Hdf5File::set_attribute<T>(const std::string&, const std::string&, const std::vector<T>&);

ESPECTRA_HDF5_INSTANTIATE(double)
ESPECTRA_HDF5_INSTANTIATE(std::int64_t)

}  // namespace espectra
