#include "espectra/experiments/files/hdf5_file.hpp"

#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include "experiments/files/hdf5_sample.hpp"
#include "support/temporary_folder.hpp"
#include <cmath>

namespace espectra {
namespace {

using ::espectra::test::Doubles;
using ::espectra::test::error_of;
using ::espectra::test::Integers;
using ::espectra::test::read_bytes;
using ::espectra::test::TemporaryFolder;
using ::espectra::test::write_sample;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

TEST(Hdf5File, RoundTrip) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    const Hdf5File file = Hdf5File::open(folder / "a.h5");
    EXPECT_EQ(file.path(), folder / "a.h5");
    EXPECT_EQ(file.read<double>("theta"), (Doubles{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(file.read<double>("/theta", {2, 3}), (Doubles{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(file.read<std::int64_t>("theta", {-1, 3}), (Integers{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(file.read<std::int64_t>("esp/epoch"), (Integers{0, 10, 20}));
    EXPECT_EQ(file.read<double>("esp/epoch"), (Doubles{0, 10, 20}));
    EXPECT_EQ(file.extents("theta"), (std::vector<Index>{2, 3}));
    EXPECT_EQ(file.extents("esp/eigenvalues"), (std::vector<Index>{1, 4, 100}));
    EXPECT_EQ(file.read_slab<double>("theta", {1}, {1}), (Doubles{4, 5, 6}));
    EXPECT_EQ(file.read_slab<double>("theta", {1, 2}, {1, 1}), Doubles{6});
    EXPECT_EQ(file.read_slab<double>("theta", {2}, {0}), Doubles{});
    EXPECT_EQ(file.groups("/"), (std::vector<std::string>{"esp", "relu"}));
    EXPECT_EQ(file.groups("esp"), std::vector<std::string>{"inner"});
    EXPECT_EQ(file.groups("relu"), std::vector<std::string>{});
    EXPECT_EQ(file.attribute_string("/", "recipe"), "title = \"β\"\n[data]\n");
    EXPECT_EQ(file.attribute<std::int64_t>("/", "widths"), (Integers{2, 10, 1}));
    EXPECT_EQ(file.attribute<double>("esp", "learning_rate"), Doubles{0.01});
}

TEST(Hdf5File, NewDatasetsAreFilled) {
    const TemporaryFolder folder;
    Hdf5File file = Hdf5File::create(folder / "a.h5");
    file.create_dataset<double>("x", {2, 2});
    file.create_dataset<std::int64_t>("n", {3});
    file.create_dataset<double>("empty", {0, 5});
    file.create_dataset<double>("scalar", {});
    for (const double value : file.read<double>("x")) EXPECT_TRUE(std::isnan(value));
    EXPECT_EQ(file.read<std::int64_t>("n"), (Integers{-1, -1, -1}));
    EXPECT_EQ(file.read<double>("empty"), Doubles{});
    EXPECT_EQ(file.extents("scalar"), std::vector<Index>{});
    file.write<double>("pi", {}, {3.5});
    EXPECT_EQ(file.read<double>("pi"), Doubles{3.5});
    // The space is there at once: later writes leave the file's size as it is.
    file.create_dataset<double>("large", {100000});
    file.flush();
    const auto size = std::filesystem::file_size(folder / "a.h5");
    EXPECT_GE(size, 800000u);
    file.write_slab<double>("large", {0}, {100000}, Doubles(100000, 1.0).data());
    file.close();
    EXPECT_EQ(std::filesystem::file_size(folder / "a.h5"), size);
}

TEST(Hdf5File, Slabs) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    {
        Hdf5File file = Hdf5File::open_for_update(folder / "a.h5");
        const Doubles patch = {-1, -2};
        file.write_slab("theta", {0, 1}, {2, 1}, patch.data());
        file.write_slab<double>("theta", {2, 0}, {0, 3}, nullptr);
        EXPECT_NE(input_error([&] {
                      file.write_slab("theta", {0, 2}, {2, 2}, patch.data());
                  }).find("theta: cannot write 2 x 2 from (0, 2) on into 2 x 3"),
                  std::string::npos);
        EXPECT_THROW(file.write_slab("theta", {0}, {2}, patch.data()), InputError);
        EXPECT_THROW(file.write<double>("two", {2, 2}, {1, 2, 3}), InputError);
    }
    EXPECT_EQ(Hdf5File::open(folder / "a.h5").read<double>("theta"), (Doubles{1, -1, 3, 4, -2, 6}));
}

TEST(Hdf5File, AttributesAreOverwrittenAndReplaced) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    Hdf5File file = Hdf5File::open_for_update(folder / "a.h5");
    file.set_attribute("esp", "learning_rate", 0.5);
    file.set_attribute("/", "recipe", "");
    file.set_attribute("/", "widths", Integers{1, 2});
    file.set_attribute("theta", "seed", std::int64_t{7});
    file.set_attribute("theta", "none", Doubles{});
    EXPECT_EQ(file.attribute<double>("esp", "learning_rate"), Doubles{0.5});
    EXPECT_EQ(file.attribute_string("/", "recipe"), "");
    EXPECT_EQ(file.attribute<std::int64_t>("/", "widths"), (Integers{1, 2}));
    EXPECT_EQ(file.attribute<double>("theta", "seed"), Doubles{7});
    EXPECT_EQ(file.attribute<double>("theta", "none"), Doubles{});
    EXPECT_TRUE(file.has_attribute("theta", "seed"));
    EXPECT_FALSE(file.has_attribute("theta", "nothing"));
    EXPECT_FALSE(file.has_attribute("nothing", "seed"));
    const std::string long_text(60000, 'x');
    file.set_attribute("/", "recipe", long_text);
    EXPECT_EQ(file.attribute_string("/", "recipe"), long_text);
    EXPECT_NE(input_error([&] { file.attribute_string("esp", "axes"); }).find("expected one string"),
              std::string::npos);
    file.set_attribute("esp", "axes", std::vector<std::string>{"Σ"});
    EXPECT_TRUE(file.has_attribute("esp", "axes"));
    file.set_attribute("esp", "axes", "replica");
    EXPECT_EQ(file.attribute_string("esp", "axes"), "replica");
}

TEST(Hdf5File, LinksAreSecondNames) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    Hdf5File file = Hdf5File::open_for_update(folder / "a.h5");
    file.link("theta", "relu/data/theta");
    EXPECT_TRUE(file.exists("relu/data/theta"));
    file.write_slab("theta", {0, 0}, {1, 1}, Doubles{9}.data());
    EXPECT_EQ(file.read<double>("relu/data/theta")[0], 9);
    EXPECT_THROW(file.link("nothing", "other"), ResourceError);
    EXPECT_THROW(file.link("theta", "relu"), ResourceError);
}

TEST(Hdf5File, Exists) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    Hdf5File file = Hdf5File::open(folder / "a.h5");
    for (const char* name : {"/", "", "theta", "/theta", "esp", "esp/", "esp/epoch", "/esp/inner"})
        EXPECT_TRUE(file.exists(name)) << name;
    for (const char* name : {"x", "esp/x", "x/y/z", "theta/x", "theta/x/y"})
        EXPECT_FALSE(file.exists(name)) << name;
    Hdf5File moved = std::move(file);
    EXPECT_TRUE(moved.exists("theta"));
    moved.close();
    moved.close();
    EXPECT_THROW(moved.exists("theta"), InputError);
}

/// Writes a dataset and an attribute of one HDF5 type with the C interface, as other programs do.
void write_foreign(hid_t file, const char* name, hid_t file_type, hid_t memory_type, const void* value) {
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t dataset = H5Dcreate2(file, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value), 0);
    const hid_t attribute = H5Acreate2(file, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Awrite(attribute, memory_type, value), 0);
    H5Aclose(attribute);
    H5Dclose(dataset);
    H5Sclose(space);
}

TEST(Hdf5File, TypesOfOtherPrograms) {
    const TemporaryFolder folder;
    const hid_t raw = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const float single = 0.5f;
    const std::int8_t minus = -3;
    const std::uint64_t huge = std::uint64_t{1} << 63;
    const double whole = 1e6;
    const double infinite = INFINITY;
    write_foreign(raw, "single", H5T_IEEE_F32BE, H5T_NATIVE_FLOAT, &single);
    write_foreign(raw, "minus", H5T_STD_I8LE, H5T_NATIVE_INT8, &minus);
    write_foreign(raw, "huge", H5T_STD_U64LE, H5T_NATIVE_UINT64, &huge);
    write_foreign(raw, "whole", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &whole);
    write_foreign(raw, "infinite", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &infinite);
    const hid_t boolean = H5Tenum_create(H5T_NATIVE_INT8);  // as h5py stores bool
    const std::int8_t no = 0;
    const std::int8_t yes = 1;
    H5Tenum_insert(boolean, "FALSE", &no);
    H5Tenum_insert(boolean, "TRUE", &yes);
    write_foreign(raw, "boolean", boolean, boolean, &yes);
    H5Tclose(boolean);
    for (const bool padded : {false, true}) {
        const hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, 6);
        H5Tset_strpad(text, padded ? H5T_STR_SPACEPAD : H5T_STR_NULLPAD);
        write_foreign(raw, padded ? "padded" : "fixed", text, text, padded ? "relu  " : "linear");
        H5Tclose(text);
    }
    H5Fclose(raw);

    const Hdf5File file = Hdf5File::open(folder / "a.h5");
    EXPECT_EQ(file.read<double>("single"), Doubles{0.5});
    EXPECT_EQ(file.attribute<double>("/", "single"), Doubles{0.5});
    EXPECT_EQ(file.read<std::int64_t>("minus"), Integers{-3});
    EXPECT_EQ(file.attribute<double>("/", "minus"), Doubles{-3});
    EXPECT_EQ(file.read<double>("huge"), Doubles{0x1p63});
    EXPECT_EQ(file.attribute<std::int64_t>("/", "whole"), Integers{1000000});
    EXPECT_EQ(file.read<double>("infinite"), Doubles{INFINITY});
    EXPECT_EQ(file.attribute<std::int64_t>("/", "boolean"), Integers{1});
    EXPECT_EQ(file.attribute<double>("/", "boolean"), Doubles{1});
    EXPECT_EQ(file.read<double>("boolean"), Doubles{1});
    EXPECT_EQ(file.attribute_string("/", "fixed"), "linear");
    EXPECT_EQ(file.attribute_string("/", "padded"), "relu");
    // Nothing is rounded or clipped silently on the way to integers.
    EXPECT_NE(
        input_error([&] { file.read<std::int64_t>("single"); }).find("single: expected integers, got 0.5"),
        std::string::npos);
    EXPECT_NE(input_error([&] { file.attribute<std::int64_t>("/", "huge"); }).find("is too large"),
              std::string::npos);
    EXPECT_THROW(file.read<std::int64_t>("infinite"), InputError);
    EXPECT_NE(input_error([&] { file.read<double>("fixed"); }).find("fixed: expected numbers"),
              std::string::npos);
    EXPECT_THROW(file.attribute<double>("/", "fixed"), InputError);
    EXPECT_THROW(file.attribute_string("/", "single"), InputError);
}

TEST(Hdf5File, EqualContentsGiveEqualFiles) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    ::sleep(1);  // modification times would differ
    write_sample(folder / "b.h5");
    EXPECT_TRUE(read_bytes(folder / "a.h5") == read_bytes(folder / "b.h5"));
}

}  // namespace
}  // namespace espectra
