#include "espectra/experiments/files/hdf5_file.hpp"

#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/temporary_folder.hpp"
#include <cmath>
#include <csignal>
#include <random>

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::read_bytes;
using ::espectra::test::TemporaryFolder;
using ::espectra::test::WithoutRoot;

using Doubles = std::vector<double>;
using Integers = std::vector<std::int64_t>;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

/// A file of every kind of object that results have.
void write_sample(const std::filesystem::path& path) {
    Hdf5File file = Hdf5File::create(path);
    file.set_attribute("/", "recipe", "title = \"β\"\n[data]\n");
    file.set_attribute("/", "widths", Integers{2, 10, 1});
    file.write<double>("theta", {2, 3}, {1, 2, 3, 4, 5, 6});
    file.create_group("esp/inner");
    file.create_group("relu");
    file.write<std::int64_t>("esp/epoch", {3}, {0, 10, 20});
    file.set_attribute("esp", "learning_rate", 0.01);
    file.create_dataset<double>("esp/eigenvalues", {1, 4, 100});
    file.close();
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

TEST(Hdf5File, ReadingErrorsNameFileAndObject) {
    const TemporaryFolder folder;
    write_sample(folder / "run.h5");
    const Hdf5File file = Hdf5File::open(folder / "run.h5");
    const std::string prefix = (folder / "run.h5").string() + ": ";
    EXPECT_EQ(input_error([&] { file.read<double>("nothing"); }), prefix + "no dataset \"nothing\"");
    EXPECT_EQ(input_error([&] { file.extents("data/nothing"); }), prefix + "no dataset \"data/nothing\"");
    EXPECT_EQ(input_error([&] { file.read<double>("esp"); }), prefix + "\"esp\" is not a dataset");
    EXPECT_EQ(input_error([&] {
                  file.read<double>("theta", {2, 4});
              }),
              prefix + "theta: expected 2 x 4, got 2 x 3");
    EXPECT_EQ(input_error([&] { file.read<double>("theta", {-1}); }),
              prefix + "theta: expected any, got 2 x 3");
    EXPECT_EQ(input_error([&] { file.read_slab<double>("theta", {1}, {2}); }),
              prefix + "theta: expected 2 entries from (1) on, got 2 x 3");
    EXPECT_THROW(file.read_slab<double>("theta", {-1}, {1}), InputError);
    EXPECT_EQ(input_error([&] { file.groups("theta"); }), prefix + "no group \"theta\"");
    EXPECT_EQ(input_error([&] { file.attribute<double>("/", "nothing"); }),
              prefix + "no attribute \"nothing\"");
    EXPECT_EQ(input_error([&] { file.attribute_string("esp", "nothing"); }),
              prefix + "no esp: attribute \"nothing\"");
    EXPECT_EQ(input_error([&] { file.attribute_string("/", "widths"); }),
              prefix + "attribute \"widths\": expected one string");
}

TEST(Hdf5File, OpeningErrors) {
    const TemporaryFolder folder;
    const std::string prefix = folder.path().string() + "/";
    EXPECT_EQ(input_error([&] { Hdf5File::open(folder / "a.h5"); }), prefix + "a.h5: no such file");
    EXPECT_EQ(input_error([&] { Hdf5File::open(folder / "a/b/c.h5"); }), prefix + "a/b/c.h5: no such file");
    EXPECT_EQ(input_error([&] { Hdf5File::open(folder.path()); }),
              folder.path().string() + ": is a directory");
    const auto text = folder.write("text.h5", "not at all an HDF5 file, but a text of some length");
    EXPECT_EQ(input_error([&] { Hdf5File::open(text); }), prefix + "text.h5: not an HDF5 file");
    EXPECT_EQ(input_error([&] { Hdf5File::open(folder.write("empty.h5", "")); }),
              prefix + "empty.h5: not an HDF5 file");
    EXPECT_EQ(input_error([&] { Hdf5File::open_for_update(folder / "none.h5"); }),
              prefix + "none.h5: no such file");
}

TEST(Hdf5File, Permissions) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    namespace fs = std::filesystem;
    fs::permissions(folder / "a.h5", fs::perms(0444));
    fs::permissions(folder.path(), fs::perms(0555));
    {
        const WithoutRoot without_root;
        EXPECT_NO_THROW(Hdf5File::open(folder / "a.h5"));
        EXPECT_NE(input_error([&] {
                      Hdf5File::open_for_update(folder / "a.h5");
                  }).find("a.h5: cannot be written: Permission denied"),
                  std::string::npos);
        EXPECT_NE(input_error([&] {
                      Hdf5File::create(folder / "b.h5");
                  }).find("b.h5: cannot create: Permission denied"),
                  std::string::npos);
    }
    fs::permissions(folder.path(), fs::perms(0755));
}

TEST(Hdf5File, UnreadableFile) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
    std::filesystem::permissions(folder / "a.h5", std::filesystem::perms(0));
    const WithoutRoot without_root;
    EXPECT_NE(input_error([&] { Hdf5File::open(folder / "a.h5"); }).find("a.h5: Permission denied"),
              std::string::npos);
}

TEST(Hdf5File, CreatingErrors) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    const std::string before = read_bytes(folder / "a.h5");
    EXPECT_NE(input_error([&] { Hdf5File::create(folder / "a.h5"); }).find("a.h5: already exists"),
              std::string::npos);
    EXPECT_TRUE(read_bytes(folder / "a.h5") == before);
    EXPECT_NE(input_error([&] {
                  Hdf5File::create(folder / "none/b.h5");
              }).find("none/b.h5: cannot create: No such file or directory"),
              std::string::npos);
    Hdf5File file = Hdf5File::open_for_update(folder / "a.h5");
    EXPECT_THROW(file.create_group("esp"), ResourceError);
    EXPECT_THROW(file.create_dataset<double>("theta", {1}), ResourceError);
    EXPECT_THROW(file.set_attribute("nothing", "x", 1.0), ResourceError);
    Hdf5File reading = Hdf5File::open(folder / "a.h5");
    EXPECT_THROW(reading.read<double>("nothing"), InputError);
}

TEST(Hdf5File, EqualContentsGiveEqualFiles) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    ::sleep(1);  // modification times would differ
    write_sample(folder / "b.h5");
    EXPECT_TRUE(read_bytes(folder / "a.h5") == read_bytes(folder / "b.h5"));
}

/// Reads all that write_sample wrote.
void read_sample(const std::filesystem::path& path) {
    const Hdf5File file = Hdf5File::open(path);
    file.groups("/");
    file.attribute_string("/", "recipe");
    file.attribute<std::int64_t>("/", "widths");
    file.read<double>("theta", {2, 3});
    file.read<std::int64_t>("esp/epoch");
    file.attribute<double>("esp", "learning_rate");
    file.read<double>("esp/eigenvalues");
}

TEST(Hdf5File, TruncatedAtEveryLength) {
    const TemporaryFolder folder;
    write_sample(folder / "whole.h5");
    const std::string bytes = read_bytes(folder / "whole.h5");
    ASSERT_GT(bytes.size(), 3000u);
    const auto path = folder.write("cut.h5", bytes);
    EXPECT_NO_THROW(read_sample(path));
    for (std::size_t length = bytes.size(); length-- > 0;) {
        std::filesystem::resize_file(path, length);
        const std::string error = input_error([&] { read_sample(path); });
        ASSERT_NE(error.find("cut.h5: "), std::string::npos) << length << ": " << error;
        if (length > 100) {
            ASSERT_NE(error.find("truncated or damaged HDF5 file"), std::string::npos)
                << length << ": " << error;
        }
    }
}

TEST(Hdf5File, HugeExtentsAreAnError) {
    const TemporaryFolder folder;
    const hid_t raw = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const auto create = [&](const char* name, std::vector<hsize_t> extents) {
        const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
        H5Dclose(H5Dcreate2(raw, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Sclose(space);
    };
    create("beyond_memory", {std::uint64_t{1} << 48});
    create("beyond_file", {1 << 20});
    H5Fclose(raw);
    const Hdf5File file = Hdf5File::open(folder / "a.h5");
    EXPECT_NE(error_of<ResourceError>([&] { file.read<double>("beyond_memory"); }).find("needs 2251799.8 GB"),
              std::string::npos);
    EXPECT_NE(input_error([&] { file.read<double>("beyond_file"); }).find("damaged"), std::string::npos);
    EXPECT_NE(input_error([&] { file.read_slab<double>("beyond_file", {0}, {1}); }).find("damaged"),
              std::string::npos);
}

TEST(Hdf5File, FileInUseByAnotherProcess) {
    const TemporaryFolder folder;
    write_sample(folder / "a.h5");
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const Hdf5File writer = Hdf5File::open_for_update(folder / "a.h5");
        [[maybe_unused]] const auto written = ::write(ready[1], "x", 1);
        ::alarm(60);
        for (;;) ::pause();
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    const std::string error = input_error([&] { Hdf5File::open(folder / "a.h5"); });
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    EXPECT_NE(error.find("a.h5: in use by another program"), std::string::npos) << error;
    EXPECT_NO_THROW(read_sample(folder / "a.h5"));  // the killed writer left no mark
}

/// Runs `body` in a child that may not make files larger than `limit` bytes: a full disk, without one.
template <class Body>
int run_with_file_size_limit(rlim_t limit, Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        ::alarm(60);
        const struct rlimit bound = {limit, limit};
        ::setrlimit(RLIMIT_FSIZE, &bound);
        int result = 99;
        try {
            result = body();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
        }
        std::exit(result);  // with HDF5's own end-of-program work, which must not hang
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(Hdf5File, FullDiskIsAResourceErrorAndLeavesTheFileReadable) {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    const int result = run_with_file_size_limit(200000, [&] {
        Hdf5File file = Hdf5File::create(path);
        file.write<double>("first", {1000}, Doubles(1000, 1.5));
        file.flush();
        const std::string error = error_of<ResourceError>([&] {
            file.create_dataset<double>("second", {100, 1000});
        });
        if (error.find("a.h5: second: cannot create: File too large") == std::string::npos) return 1;
        file.set_attribute("first", "seconds", 1.0);
        file.close();
        return 0;
    });
    EXPECT_EQ(result, 0);
    const Hdf5File file = Hdf5File::open(path);
    EXPECT_EQ(file.read<double>("first"), Doubles(1000, 1.5));
    EXPECT_EQ(file.attribute<double>("first", "seconds"), Doubles{1.0});
    EXPECT_FALSE(file.exists("second"));
}

TEST(Hdf5File, FailingWriteDoesNotCrashAtTheEnd) {
    const TemporaryFolder folder;
    const auto path = folder / "a.h5";
    {
        Hdf5File file = Hdf5File::create(path);
        file.write<double>("first", {1000}, Doubles(1000, 1.5));
        file.create_dataset<double>("second", {100000});
        file.close();
    }
    const int result = run_with_file_size_limit(100000, [&] {
        Hdf5File file = Hdf5File::open_for_update(path);
        const Doubles data(50000, 2.0);
        const std::string error =
            error_of<ResourceError>([&] { file.write_slab("second", {50000}, {50000}, data.data()); });
        return error.find("a.h5: second: cannot write: File too large") == std::string::npos ? 1 : 0;
    });
    EXPECT_EQ(result, 0);
    EXPECT_EQ(Hdf5File::open(path).read<double>("first"), Doubles(1000, 1.5));
}

}  // namespace
}  // namespace espectra
