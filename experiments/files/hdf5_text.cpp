#include "espectra/experiments/files/hdf5_failure.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/experiments/files/hdf5_numbers.hpp"

#include <fmt/format.h>

#include <algorithm>

// Datasets of text of an Hdf5File.

namespace espectra {

std::vector<std::string> Hdf5File::read_text(const std::string& name) const {
    const QuietErrors quiet;
    const DatasetHandle dataset = open_dataset(*this, id_, name);
    const Datatype type(H5Dget_type(dataset));
    const Dataspace space(H5Dget_space(dataset));
    const std::size_t count = checked_size(path_, name, extents_of(*this, name, space));
    if (H5Tget_class(type) != H5T_STRING) fail_read(path_, name, "expected text");
    std::vector<std::string> values(count);
    if (count == 0) return values;
    // Read in the file's own string type: HDF5 does not convert between character sets.
    if (H5Tis_variable_str(type) > 0) {
        std::vector<char*> texts(count, nullptr);
        if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) < 0)
            fail_damaged(path_, name);
        for (std::size_t i = 0; i < count; ++i)
            if (texts[i] != nullptr) values[i] = texts[i];
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts.data());
        return values;
    }
    const std::size_t size = H5Tget_size(type);
    std::string texts(checked_size(path_, name, {static_cast<Index>(count), static_cast<Index>(size)}), '\0');
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) < 0) fail_damaged(path_, name);
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = texts.substr(i * size, size);
        values[i].resize(std::min(values[i].find('\0'), size));
        if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) values[i].resize(values[i].find_last_not_of(' ') + 1);
    }
    return values;
}

void Hdf5File::write_text(const std::string& name, const std::vector<std::string>& values,
                          const Attributes& attributes) {
    const QuietErrors quiet;
    const Dataspace space = make_space({std::ssize(values)});
    const Datatype type(H5Tcopy(H5T_C_S1));
    const PropertyList creation(H5Pcreate(H5P_DATASET_CREATE));
    if (!space.valid() || !creation.valid() || H5Pset_obj_track_times(creation, false) < 0 ||
        H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        fail_write(path_, name, "create");
    constexpr double reference = 32;  // bytes of one in the dataset and in the heap that has the text
    require_disk_space(*this, id_, name,
                       reference * static_cast<double>(values.size()) + text_bytes({{name, values}}) +
                           text_bytes(attributes));
    create_groups(parent_of(name));
    const DatasetHandle dataset(
        H5Dcreate2(id_, name.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    if (!dataset.valid()) fail_write(path_, name, "create");
    std::vector<const char*> texts;
    for (const std::string& value : values) texts.push_back(value.c_str());
    if (!texts.empty() && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) < 0)
        fail_write(path_, name, "write");
    write_attributes(dataset, name, attributes);
}

}  // namespace espectra
