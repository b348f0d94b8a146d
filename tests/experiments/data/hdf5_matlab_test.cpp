#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <matio.h>

#include "support/temporary_folder.hpp"
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

TEST(Hdf5Data, LabelsAndTargets) {
    const TemporaryFolder folder;
    const Doubles x = {1, 2, 3, 4, 5, 6};
    const auto make = [&](const std::string& name, std::vector<Index> extents, const Doubles& y) {
        Hdf5File file = Hdf5File::create(folder / name);
        file.write<double>("X", {3, 2}, x);
        file.write<double>("y", extents, y);
        return folder / name;
    };
    const RawData flat = load_data(make("flat.h5", {3}, {0, 1, 1}).string(), 0, false);
    EXPECT_EQ(flat.examples, 3);
    EXPECT_EQ(flat.feature_count, 2);
    EXPECT_EQ(flat.features, x);
    EXPECT_EQ(flat.labels, (Labels{0, 1, 1}));
    EXPECT_EQ(load_hdf5(make("column.hdf5", {3, 1}, {2, 1, 0}), false).labels, (Labels{2, 1, 0}));
    const RawData targets = load_hdf5(make("targets.h5", {3, 2}, {0.1, 1, 2, 3, 4, 5}), false);
    EXPECT_EQ(targets.classes, 0);
    EXPECT_EQ(targets.target_count, 2);
    EXPECT_EQ(targets.targets, (Doubles{0.1, 1, 2, 3, 4, 5}));
    EXPECT_EQ(load_hdf5(folder / "flat.h5", true).targets, (Doubles{0, 1, 1}));

    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("a.h5", {4}, {0, 1, 0, 1}), false);
                    }),
                    "a.h5: y: rows, as many as X: expected 3, got 4");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("b.h5", {3}, {0, 99, 1}), false);
                    }),
                    "b.h5: y[1]: label 99: expected");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(make("c.h5", {3}, {1, 2, 1}), false); }), "subtract 1");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("d.h5", {3}, {1, NAN, 1}), true);
                    }),
                    "d.h5: y[1, 0]: nan is not a finite number");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("e.h5", {3, 1, 1}, {1, 0, 1}), true);
                    }),
                    "e.h5: y: expected 2 axes (examples, features), got 3");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(make("f.h5", {3, 0}, {}), true); }), "f.h5: y: no columns");
}

TEST(Hdf5Data, Errors) {
    const TemporaryFolder folder;
    const auto make = [&](const std::string& name, std::vector<Index> extents, const Doubles& x) {
        Hdf5File file = Hdf5File::create(folder / name);
        if (!extents.empty()) file.write<double>("X", extents, x);
        return folder / name;
    };
    EXPECT_CONTAINS(input_error([&] { load_hdf5(make("a.h5", {}, {}), false); }), "a.h5: no dataset \"X\"");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("b.h5", {1, 1}, {1}), false);
                    }),
                    "b.h5: no dataset \"y\"");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder.write("c.h5", "text"), false); }),
                    "c.h5: not an HDF5 file");
    {
        Hdf5File file = Hdf5File::create(folder / "d.h5");
        file.write<double>("X", {2, 3}, {1, 2, 3, 4, INFINITY, 6});
        file.write<double>("y", {2}, {0, 1});
        Hdf5File empty = Hdf5File::create(folder / "e.h5");
        empty.write<double>("X", {0, 3}, {});
        empty.write<double>("y", {0}, {});
        Hdf5File bare = Hdf5File::create(folder / "f.h5");
        bare.write<double>("X", {2, 0}, {});
        bare.write<double>("y", {2}, {0, 1});
    }
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder / "d.h5", false); }),
                    "d.h5: X[1, 1]: inf is not a finite number");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder / "e.h5", false); }), "e.h5: no examples");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder / "f.h5", false); }), "f.h5: no features");
}

TEST(Hdf5Data, RecordedRun) {
    const TemporaryFolder folder;
    const auto make = [&](const std::string& name, Index columns, const Doubles& y_train,
                          const Doubles& y_test) {
        Hdf5File file = Hdf5File::create(folder / name);
        file.write<double>("data/X_train", {2, 2}, {1, 2, 3, 4});
        file.write<double>("data/Y_train", {2, columns}, y_train);
        if (!y_test.empty()) {
            file.write<double>("data/X_test", {1, 2}, {5, 6});
            file.write<double>("data/Y_test", {1, columns}, y_test);
        }
        return folder / name;
    };
    const RawData hot = load_hdf5(make("hot.h5", 3, {0, 1, 0, 1, 0, 0}, {0, 0, 1}), false);
    EXPECT_EQ(hot.features, (Doubles{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(hot.labels, (Labels{1, 0, 2}));
    EXPECT_EQ(hot.classes, 3);
    EXPECT_EQ(load_hdf5(make("single.h5", 1, {1, 0}, {1}), false).labels, (Labels{1, 0, 1}));
    EXPECT_EQ(load_hdf5(make("train.h5", 1, {1, 0}, {}), false).examples, 2);
    EXPECT_EQ(load_hdf5(folder / "hot.h5", true).target_count, 3);

    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("a.h5", 2, {0, 1, 0, 0}, {1, 0}), false);
                    }),
                    "a.h5: data/Y_train[1]: the target row is all zero");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("b.h5", 2, {0, 1, 1, 0}, {0, 0}), false);
                    }),
                    "b.h5: data/Y_test[0]: the target row is all zero");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("c.h5", 2, {1, 1, 1, 0}, {0, 1}), false);
                    }),
                    "c.h5: data/Y_train[0]: expected a one-hot row");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("d.h5", 1, {1, 0}, {0.5}), false);
                    }),
                    "d.h5: data/Y_test[0]: label 0.5");
}

struct MatVariable {
    const char* name;
    matio_classes class_type;
    matio_types data_type;
    std::size_t rows, columns;
    const void* data;  ///< column-major
    int flags = 0;
};

std::filesystem::path write_mat(const std::filesystem::path& path, const std::vector<MatVariable>& variables,
                                matio_compression compression = MAT_COMPRESSION_ZLIB) {
    mat_t* const file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
    for (const MatVariable& v : variables) {
        std::size_t extents[2] = {v.rows, v.columns};
        matvar_t* const variable =
            Mat_VarCreate(v.name, v.class_type, v.data_type, 2, extents, const_cast<void*>(v.data), v.flags);
        Mat_VarWrite(file, variable, compression);
        Mat_VarFree(variable);
    }
    Mat_Close(file);
    return path;
}

const double columns_first[] = {1, 3, 5, 2, 4, 6};  // rows (1, 2), (3, 4), (5, 6)
const std::uint8_t byte_labels[] = {1, 0, 1};
const double targets_of_three[] = {0.5, 1.5, 2.5};
const MatVariable mat_x = {"X", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 2, columns_first};

TEST(Matlab, MatricesOfSeveralClasses) {
    const TemporaryFolder folder;
    for (const auto compression : {MAT_COMPRESSION_NONE, MAT_COMPRESSION_ZLIB}) {
        const auto path = write_mat(folder / "a.mat",
                                    {mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels}}, compression);
        const RawData raw = load_data(path.string(), 0, false);
        EXPECT_EQ(raw.examples, 3);
        EXPECT_EQ(raw.feature_count, 2);
        EXPECT_EQ(raw.features, (Doubles{1, 2, 3, 4, 5, 6}));
        EXPECT_EQ(raw.labels, (Labels{1, 0, 1}));
        EXPECT_EQ(load_matlab(path, true).targets, (Doubles{1, 0, 1}));
    }
    const float singles[] = {1.5f, 2.5f, 3.5f};
    const std::int32_t words[] = {0, 2, 1};
    const auto other = write_mat(folder / "b.mat", {{"X", MAT_C_SINGLE, MAT_T_SINGLE, 3, 1, singles},
                                                    {"y", MAT_C_INT32, MAT_T_INT32, 1, 3, words}});
    EXPECT_EQ(load_matlab(other, false).features, (Doubles{1.5, 2.5, 3.5}));
    EXPECT_EQ(load_matlab(other, false).labels, (Labels{0, 2, 1}));  // y as a row
    const auto logical = write_mat(
        folder / "c.mat", {mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels, MAT_F_LOGICAL}});
    EXPECT_EQ(load_matlab(logical, false).labels, (Labels{1, 0, 1}));
    const auto wide =
        write_mat(folder / "d.mat", {mat_x, {"y", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 2, columns_first}});
    EXPECT_EQ(load_matlab(wide, false).targets, (Doubles{1, 2, 3, 4, 5, 6}));
}

TEST(Matlab, Errors) {
    const TemporaryFolder folder;
    const auto load = [&](const std::vector<MatVariable>& variables, bool regression = false) {
        return input_error([&] { load_matlab(write_mat(folder / "a.mat", variables), regression); });
    };
    const MatVariable y = {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels};
    EXPECT_CONTAINS(load({y}), "a.mat: no variable \"X\"");
    EXPECT_CONTAINS(load({mat_x}), "a.mat: no variable \"y\"");
    EXPECT_CONTAINS(load({mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 2, 1, byte_labels}}),
                    "y: rows, as many as X: expected 3, got 2");
    EXPECT_CONTAINS(load({mat_x, {"y", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 1, targets_of_three}}),
                    "a.mat: y(1, 1): label 0.5");
    EXPECT_CONTAINS(load({{"X", MAT_C_CHAR, MAT_T_UINT8, 1, 3, "abc"}, y}),
                    "a.mat: X: expected a full real matrix of numbers");
    const double holes[] = {1, 2, 3, 4, NAN, 6};
    EXPECT_CONTAINS(load({{"X", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 2, holes}, y}),
                    "a.mat: X(2, 2): nan is not a finite number");
    EXPECT_CONTAINS(load({{"X", MAT_C_DOUBLE, MAT_T_DOUBLE, 0, 2, nullptr},
                          {"y", MAT_C_DOUBLE, MAT_T_DOUBLE, 0, 1, nullptr}}),
                    "a.mat: no examples");
    EXPECT_CONTAINS(input_error([&] { load_matlab(folder / "none.mat", false); }), "none.mat: no such file");
    EXPECT_CONTAINS(input_error([&] { load_matlab(folder.write("b.mat", std::string(500, 'x')), false); }),
                    "b.mat: ");
    EXPECT_CONTAINS(input_error([&] { load_matlab(folder.write("c.mat", ""), false); }), "c.mat: ");
}

TEST(Matlab, Truncated) {
    const TemporaryFolder folder;
    for (const auto compression : {MAT_COMPRESSION_NONE, MAT_COMPRESSION_ZLIB}) {
        const auto path = write_mat(folder / "a.mat",
                                    {mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels}}, compression);
        for (auto length = std::filesystem::file_size(path); length-- > 0;) {
            std::filesystem::resize_file(path, length);
            const std::string error = input_error([&] { load_matlab(path, false); });
            if (error != "no error") EXPECT_CONTAINS(error, "a.mat: ");
        }
    }
}

}  // namespace
}  // namespace espectra
