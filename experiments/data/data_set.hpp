#pragma once

#include "espectra/kernels/names.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// Examples as they come from a file or a generator, before the split.
/// `features` is row-major examples × feature_count. Either `labels` (class indices 0 … classes−1, every
/// class present) or, for regression (classes = 0), `targets` (row-major examples × target_count) is filled.
struct RawData {
    std::string source;  ///< what the user named: "digits" or a path
    Index examples = 0;
    Index feature_count = 0;
    Index classes = 0;
    Index target_count = 0;
    std::vector<double> features;
    std::vector<int> labels;
    std::vector<double> targets;
};

/// Training and test examples as networks take them: unit-major, examples contiguous.
struct DataSet {
    std::string source;
    Index features = 0;        ///< n_0
    Index outputs = 0;         ///< C
    Index classes = 0;         ///< 0 for regression
    Index train_examples = 0;  ///< m
    Index test_examples = 0;
    std::vector<double> x_train;  ///< [n_0, m]
    std::vector<double> y_train;  ///< [C, m]
    std::vector<double> x_test;   ///< [n_0, m_test]
    std::vector<double> y_test;   ///< [C, m_test]
};

/// How class labels become targets: one 0/1 output for two classes, or one output per class.
enum class TargetEncoding {
    binary_when_two,  ///< one output for two classes, one-hot for more (element-wise losses)
    one_hot,          ///< always one output per class (softmax)
};

enum class Scaling {
    unit,      ///< x → (x − min)/(max − min), one min and max for all features of the training examples
    standard,  ///< per feature: zero mean and unit variance over the training examples; constant features → 0
    none,
};

constexpr Names names_of(Scaling scaling) {
    switch (scaling) {
        case Scaling::unit:
            return {"unit"};
        case Scaling::standard:
            return {"standard"};
        case Scaling::none:
            return {"none"};
    }
    return {};
}

/// The UCI 8×8 digits that are built into the library: 1797 × 64, values 0 … 16, ten classes.
RawData load_digits();

/// Two classes in the plane, separable by a straight line (51 examples) or by a curve (863 examples), drawn
/// from `seed`; own generators, of the size and balance of the paper's two tasks.
RawData generate_linear(std::uint64_t seed);
RawData generate_nonlinear(std::uint64_t seed);

/// Comma-separated values: features, then the label in the last column; one optional header line.
/// Integers in the last column are class labels; with `regression` it is a target.
RawData load_csv(const std::filesystem::path& path, bool regression);
/// The same from text in memory; `source` names it in errors ("source:line: …").
RawData parse_csv(std::string_view text, const std::string& source, bool regression);

/// HDF5 with datasets X (m, n) and y (m) or (m, 1): labels; (m, C) with C > 1, or `regression`: targets.
RawData load_hdf5(const std::filesystem::path& path, bool regression);

/// MATLAB 5 file with X (m, n) and y (m, 1), as load_hdf5.
RawData load_matlab(const std::filesystem::path& path, bool regression);

/// IDX pair: `path` names the image file (…images-idx3-ubyte[.gz]), the labels lie beside it
/// (…labels-idx1-ubyte[.gz]). Pixels keep their values 0 … 255.
RawData load_idx(const std::filesystem::path& path);

/// Opens what a recipe names in data.source: "digits", "linear", "nonlinear" (generated from `seed`) or a
/// path, told apart by its ending: .csv .h5 .hdf5 .mat, IDX otherwise.
RawData load_data(const std::string& source, std::uint64_t seed, bool regression);

/// Shuffles with `seed`, takes ⌈test_fraction·examples⌉ as test set, scales by the training examples,
/// encodes. Throws InputError when nothing is left to train on.
DataSet split_data(const RawData& raw, double test_fraction, std::uint64_t seed, Scaling scaling,
                   TargetEncoding encoding);

/// Row-major rows × columns → columns × rows: between the layout of files (an example per row) and that of
/// networks.
std::vector<double> transposed(const std::vector<double>& values, Index rows, Index columns);

}  // namespace espectra
