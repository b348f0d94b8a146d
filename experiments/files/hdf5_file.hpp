#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace espectra {

/// Text, a number, or a list of these.
using AttributeValue = std::variant<std::string, double, std::int64_t, std::vector<std::string>,
                                    std::vector<double>, std::vector<std::int64_t>>;
using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

/// An open HDF5 file. Every failure is an exception that names the file and the object: reading throws
/// InputError (missing, wrong type, wrong shape, truncated), writing throws ResourceError (disk). Objects are
/// named by paths from the root ("data/X_train"). Not thread-safe, like HDF5 itself: calls have to be
/// serialised.
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

    std::vector<Index> extents(const std::string& name) const;
    /// Reads a whole dataset of numbers converted to T (double, int64_t), row-major; its extents are checked
    /// if `expected` is not empty (−1 matches any extent).
    template <class T>
    std::vector<T> read(const std::string& name, const std::vector<Index>& expected = {}) const;
    /// Reads `count` entries from `begin` on along the leading axes, and all entries of the other axes.
    template <class T>
    std::vector<T> read_slab(const std::string& name, std::vector<Index> begin,
                             std::vector<Index> count) const;

    bool has_attribute(const std::string& object, const std::string& name) const;
    std::string attribute_string(const std::string& object, const std::string& name) const;
    template <class T>
    std::vector<T> attribute(const std::string& object, const std::string& name) const;

    void create_group(const std::string& name, const Attributes& attributes = {});
    /// Creates a contiguous dataset whose space is allocated and filled (NaN for double, −1 for int64_t) at
    /// once, so that later writes touch neither the file's size nor its structure.
    template <class T>
    void create_dataset(const std::string& name, const std::vector<Index>& extents,
                        const Attributes& attributes = {});
    /// Writes a hyperslab: `begin` and `count` per axis of the dataset.
    template <class T>
    void write_slab(const std::string& name, const std::vector<Index>& begin, const std::vector<Index>& count,
                    const T* data);
    /// Creates a dataset and writes all of it.
    template <class T>
    void write(const std::string& name, const std::vector<Index>& extents, const std::vector<T>& data);
    /// Gives an existing object a second name (hard link).
    void link(const std::string& existing, const std::string& name);

    /// Creates attributes, overwrites them in place if they exist with the same type and size, and replaces
    /// them otherwise. Text is stored as by h5py (variable-length UTF-8), one value as a scalar, a vector as
    /// a list.
    void set_attributes(const std::string& object, const Attributes& attributes);
    void set_attribute(const std::string& object, const std::string& name, AttributeValue value) {
        set_attributes(object, {{name, std::move(value)}});
    }

    void flush();
    /// Closes the file and reports errors of closing; the destructor closes silently.
    void close();

  private:
    /// Creates `name` and the groups above it that are missing. Without modification times, so that equal
    /// runs give equal files.
    void create_groups(const std::string& name);
    void write_attributes(std::int64_t opened, const std::string& object, const Attributes& attributes);

    Hdf5File(std::filesystem::path path, std::int64_t id) : path_(std::move(path)), id_(id) {}

    std::filesystem::path path_;
    std::int64_t id_ = -1;
};

}  // namespace espectra
