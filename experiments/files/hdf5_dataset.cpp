#include "espectra/experiments/files/hdf5_failure.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/experiments/files/hdf5_numbers.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

// Datasets of an Hdf5File.

namespace espectra {

namespace {

DatasetHandle open_dataset(const Hdf5File& file, hid_t id, const std::string& name) {
    if (!file.exists(name)) fail_read(file.path(), "", fmt::format("no dataset \"{}\"", name));
    const H5I_type_t kind = kind_of(id, name);
    if (kind == H5I_BADID) fail_damaged(file.path(), name);
    if (kind != H5I_DATASET) fail_read(file.path(), "", fmt::format("\"{}\" is not a dataset", name));
    DatasetHandle dataset(H5Dopen2(id, name.c_str(), H5P_DEFAULT));
    if (!dataset.valid()) fail_damaged(file.path(), name);
    return dataset;
}

/// Throws unless the file is at least as large as a contiguous dataset in it: a header that announces more
/// bytes is damaged.
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

}  // namespace

std::vector<Index> Hdf5File::extents(const std::string& name) const {
    const QuietErrors quiet;
    const DatasetHandle dataset = open_dataset(*this, id_, name);
    const Dataspace space(H5Dget_space(dataset));
    return extents_of(*this, name, space);
}

template <class T>
std::vector<T> Hdf5File::read(const std::string& name, const std::vector<Index>& expected) const {
    const QuietErrors quiet;
    const DatasetHandle dataset = open_dataset(*this, id_, name);
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
    const DatasetHandle dataset = open_dataset(*this, id_, name);
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

template <class T>
void Hdf5File::create_dataset(const std::string& name, const std::vector<Index>& extents,
                              const Attributes& attributes) {
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
    require_disk_space(*this, id_, name, bytes + text_bytes(attributes));
    create_groups(parent_of(name));
    const DatasetHandle dataset(
        H5Dcreate2(id_, name.c_str(), file_type<T>(), space, H5P_DEFAULT, creation, H5P_DEFAULT));
    if (!dataset.valid()) fail_write(path_, name, "create");
    write_attributes(dataset, name, attributes);
}

template <class T>
void Hdf5File::write_slab(const std::string& name, const std::vector<Index>& begin,
                          const std::vector<Index>& count, const T* data) {
    const QuietErrors quiet;
    const DatasetHandle dataset = open_dataset(*this, id_, name);
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

#define ESPECTRA_HDF5_INSTANTIATE(T)                                                                \
    template std::vector<T> Hdf5File::read<T>(const std::string&, const std::vector<Index>&) const; \
    template std::vector<T> Hdf5File::read_slab<T>(const std::string&, std::vector<Index>,          \
                                                   std::vector<Index>) const;                       \
    template void Hdf5File::create_dataset<T>(const std::string&, const std::vector<Index>&,        \
                                              const Attributes&);                                   \
    template void Hdf5File::write_slab<T>(const std::string&, const std::vector<Index>&,            \
                                          const std::vector<Index>&, const T*);                     \
    template void Hdf5File::write<T>(const std::string&, const std::vector<Index>&, const std::vector<T>&);

ESPECTRA_HDF5_INSTANTIATE(double)
ESPECTRA_HDF5_INSTANTIATE(std::int64_t)

}  // namespace espectra
