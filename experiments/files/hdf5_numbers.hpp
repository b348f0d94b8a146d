#pragma once

#include "espectra/experiments/files/hdf5_failure.hpp"
#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

// Types and shapes of numbers in HDF5 files; for the sources of this room only.

namespace espectra {

template <class T>
hid_t memory_type() {
    return std::is_same_v<T, double> ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
}
template <class T>
hid_t file_type() {
    return std::is_same_v<T, double> ? H5T_IEEE_F64LE : H5T_STD_I64LE;
}

/// Returns `count` elements of 8 bytes, or throws where this machine cannot hold them: HDF5 files may
/// announce any extents.
std::size_t checked_size(const std::filesystem::path& path, const std::string& name,
                         const std::vector<Index>& extents);

/// Returns the extents of a dataspace; {0} for an empty one.
std::vector<Index> extents_of(const Hdf5File& file, const std::string& name, hid_t space);
Dataspace make_space(const std::vector<Index>& extents);

std::vector<hsize_t> to_hsize(const std::vector<Index>& values);
/// Joins extents for people; a negative one is "any".
std::string join(const std::vector<Index>& values, const char* separator);
std::string shape_text(const std::vector<Index>& extents);

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

/// Returns true for classes of numbers that convert to double and int64_t; booleans of h5py are enumerations
/// over integers.
inline bool is_numeric(H5T_class_t kind) {
    return kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
}

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

}  // namespace espectra
