#include "espectra/experiments/files/hdf5_numbers.hpp"

#include <unistd.h>

namespace espectra {

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

}  // namespace espectra
