#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

// Identifiers and object names of the HDF5 C library; for the sources of this room only.

namespace espectra {

static_assert(std::is_same_v<hid_t, std::int64_t>);

/// Turns off HDF5's printing of its error stack; the destructor restores the caller's setting.
class QuietErrors {
  public:
    QuietErrors() {
        H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    }
    ~QuietErrors() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
    QuietErrors(const QuietErrors&) = delete;
    QuietErrors& operator=(const QuietErrors&) = delete;

  private:
    H5E_auto2_t function_ = nullptr;
    void* data_ = nullptr;
};

/// Owns one HDF5 identifier.
template <herr_t (*Close)(hid_t)>
class Handle {
  public:
    explicit Handle(hid_t id) : id_(id) {}
    Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
    ~Handle() {
        if (id_ >= 0) Close(id_);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    Handle& operator=(Handle&&) = delete;

    operator hid_t() const { return id_; }
    bool valid() const { return id_ >= 0; }

  private:
    hid_t id_;
};

using DatasetHandle = Handle<H5Dclose>;
using Dataspace = Handle<H5Sclose>;
using Datatype = Handle<H5Tclose>;
using Attribute = Handle<H5Aclose>;
using PropertyList = Handle<H5Pclose>;
using Object = Handle<H5Oclose>;

inline const char* rooted(const std::string& name) { return name.empty() ? "/" : name.c_str(); }

/// Returns H5I_GROUP, H5I_DATASET, …; H5I_BADID if the object cannot be opened.
inline H5I_type_t kind_of(hid_t file, const std::string& name) {
    const Object object(H5Oopen(file, rooted(name), H5P_DEFAULT));
    return object.valid() ? H5Iget_type(object) : H5I_BADID;
}

inline bool is_root(const std::string& name) { return name.find_first_not_of('/') == std::string::npos; }

inline std::string parent_of(const std::string& name) {
    const auto slash = name.find_last_of('/');
    return slash == std::string::npos ? "" : name.substr(0, slash);
}

}  // namespace espectra
