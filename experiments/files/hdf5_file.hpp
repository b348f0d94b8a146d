#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace espectra {

/// An open HDF5 file or group in it. Every failure is an exception that names the file and the object:
/// reading throws InputError (missing, wrong type, wrong shape, truncated), writing throws ResourceError
/// (disk). Objects are named by paths relative to this one ("data/X_train"). Not thread-safe, like HDF5
/// itself: serialise.
class Hdf5File {
  public:
    static Hdf5File open(const std::filesystem::path& path);             ///< read only
    static Hdf5File open_for_update(const std::filesystem::path& path);  ///< read and write in place
    static Hdf5File create(const std::filesystem::path& path);           ///< fails if it exists

    Hdf5File(Hdf5File&&) noexcept;
    Hdf5File& operator=(Hdf5File&&) noexcept;
    ~Hdf5File();

    const std::filesystem::path& path() const { return path_; }

    bool exists(const std::string& name) const;
    /// Names of the groups directly under `group` ("/" for the root), in alphabetical order.
    std::vector<std::string> groups(const std::string& group) const;

    /// Extents of a dataset.
    std::vector<Index> extents(const std::string& name) const;
    /// A whole dataset of numbers converted to T (double, int64_t), row-major; extents are checked where
    /// `expected` is not empty (−1 matches any extent).
    template <class T>
    std::vector<T> read(const std::string& name, const std::vector<Index>& expected = {}) const;
    /// `count` entries from `begin` on along the leading axes, all of the axes not named.
    template <class T>
    std::vector<T> read_slab(const std::string& name, std::vector<Index> begin,
                             std::vector<Index> count) const;

    bool has_attribute(const std::string& object, const std::string& name) const;
    std::string attribute_string(const std::string& object, const std::string& name) const;
    template <class T>
    std::vector<T> attribute(const std::string& object, const std::string& name) const;

    void create_group(const std::string& name);
    /// A contiguous dataset with its space allocated and filled (NaN for double) at once, so that later
    /// writes touch neither the file's size nor its structure.
    template <class T>
    void create_dataset(const std::string& name, const std::vector<Index>& extents);
    /// Writes a hyperslab: `begin` and `count` per axis of the dataset.
    template <class T>
    void write_slab(const std::string& name, const std::vector<Index>& begin, const std::vector<Index>& count,
                    const T* data);
    /// create_dataset and write_slab of the whole.
    template <class T>
    void write(const std::string& name, const std::vector<Index>& extents, const std::vector<T>& data);
    /// A second name for an existing object (hard link).
    void link(const std::string& existing, const std::string& name);

    /// Attributes are created, overwritten in place where they exist with the same type and size, replaced
    /// otherwise. Text is stored as h5py does it (variable-length UTF-8), one number as a scalar, a vector as
    /// a list.
    void set_attribute(const std::string& object, const std::string& name, const std::string& value);
    template <class T>
    requires std::is_arithmetic_v<T>
    void set_attribute(const std::string& object, const std::string& name, T value);
    template <class T>
    void set_attribute(const std::string& object, const std::string& name, const std::vector<T>& values);

    void flush();
    /// Closes with the errors of closing reported; the destructor closes silently.
    void close();

  private:
    Hdf5File(std::filesystem::path path, std::int64_t id) : path_(std::move(path)), id_(id) {}

    std::filesystem::path path_;
    std::int64_t id_ = -1;
};

}  // namespace espectra
