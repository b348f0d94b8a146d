#include "espectra/experiments/files/hdf5_failure.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/files/hdf5_handle.hpp"
#include "espectra/experiments/files/hdf5_numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <variant>
#include <vector>

// Attributes of an Hdf5File.

namespace espectra {

namespace {

template <class T>
constexpr bool is_list = false;
template <class T>
constexpr bool is_list<std::vector<T>> = true;

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

/// Opens the attribute if it exists with this type and shape, else creates it (and replaces one of the same
/// name). Does not use H5Aopen_by_name: HDF5 1.10 cannot write an attribute that was opened by it.
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

template <class T>
void write_attribute(const Hdf5File& file, hid_t object, const std::string& label, const std::string& name,
                     const Dataspace& space, std::span<const T> values) {
    const Attribute attribute = prepare_attribute(file, object, label, name, file_type<T>(), space);
    if (!values.empty() && H5Awrite(attribute, memory_type<T>(), values.data()) < 0)
        fail_write(file.path(), label, "write");
}

/// Writes text as h5py does: variable-length UTF-8.
template <>
void write_attribute(const Hdf5File& file, hid_t object, const std::string& label, const std::string& name,
                     const Dataspace& space, std::span<const std::string> values) {
    const Datatype type(H5Tcopy(H5T_C_S1));
    if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)
        fail_write(file.path(), label, "write");
    std::vector<const char*> texts;
    for (const std::string& value : values) texts.push_back(value.c_str());
    const Attribute attribute = prepare_attribute(file, object, label, name, type, space);
    if (!texts.empty() && H5Awrite(attribute, type, texts.data()) < 0)
        fail_write(file.path(), label, "write");
}

}  // namespace

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

double text_bytes(const Attributes& attributes) {
    double bytes = 0;
    for (const auto& [name, value] : attributes) {
        if (const auto* text = std::get_if<std::string>(&value)) bytes += static_cast<double>(text->size());
        if (const auto* list = std::get_if<std::vector<std::string>>(&value))
            for (const std::string& text : *list) bytes += static_cast<double>(text.size());
    }
    return bytes;
}

void Hdf5File::write_attributes(std::int64_t opened, const std::string& object,
                                const Attributes& attributes) {
    for (const auto& [name, value] : attributes) {
        const std::string label = attribute_label(object, name);
        std::visit(
            [&]<class Value>(const Value& values) {
                if constexpr (is_list<Value>)
                    write_attribute<typename Value::value_type>(*this, opened, label, name,
                                                                make_space({std::ssize(values)}), values);
                else
                    write_attribute<Value>(*this, opened, label, name, make_space({}), {&values, 1});
            },
            value);
    }
}

void Hdf5File::set_attributes(const std::string& object, const Attributes& attributes) {
    if (attributes.empty()) return;
    const QuietErrors quiet;
    const std::string label = attribute_label(object, attributes.front().first);
    require_disk_space(*this, id_, label, text_bytes(attributes));
    const Object opened(H5Oopen(id_, rooted(object), H5P_DEFAULT));
    if (!opened.valid()) fail_write(path_, label, "write");
    write_attributes(opened, object, attributes);
}

template std::vector<double> Hdf5File::attribute<double>(const std::string&, const std::string&) const;
template std::vector<std::int64_t> Hdf5File::attribute<std::int64_t>(const std::string&,
                                                                     const std::string&) const;

}  // namespace espectra
