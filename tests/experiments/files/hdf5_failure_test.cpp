#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "experiments/files/hdf5_sample.hpp"
#include "support/temporary_folder.hpp"
#include <cmath>
#include <csignal>
#include <random>

// Failures: damaged files, permissions, locks, full disks.

namespace espectra {
namespace {

using ::espectra::test::Doubles;
using ::espectra::test::error_of;
using ::espectra::test::read_bytes;
using ::espectra::test::TemporaryFolder;
using ::espectra::test::WithoutRoot;
using ::espectra::test::write_sample;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
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

/// Reads everything that write_sample writes.
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
