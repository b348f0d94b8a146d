#pragma once

#include "espectra/kernels/names.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// Examples of a file or a generator, before the split. `features` is row-major examples × feature_count.
/// Either `labels` (class indices 0 … classes−1, every class present) or, for regression (classes = 0),
/// `targets` (row-major examples × target_count) is filled.
struct RawData {
    std::string source;  ///< the name that the user gave: "digits" or a path
    Index examples = 0;
    Index feature_count = 0;
    Index classes = 0;
    Index target_count = 0;
    std::vector<double> features;
    std::vector<int> labels;
    std::vector<double> targets;
};

/// Training and test examples in the layout of networks: unit-major, examples contiguous.
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

/// The encoding of class labels as targets.
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

/// Returns the UCI 8×8 digits, which are built into the library: 1797 × 64, values 0 … 16, ten classes.
RawData load_digits();

/// Return two classes in the plane, separable by a straight line (51 examples) or by a curve (863 examples),
/// drawn from `seed`. The generators are this project's own; size and balance are those of the paper's tasks.
RawData generate_linear(std::uint64_t seed);
RawData generate_nonlinear(std::uint64_t seed);

/// Reads comma-separated values: features, then the label in the last column; one optional header line. The
/// last column holds class labels (integers), or with `regression` a target.
RawData load_csv(const std::filesystem::path& path, bool regression);
/// Reads the same from text in memory; `source` names it in errors ("source:line: …").
RawData parse_csv(std::string_view text, const std::string& source, bool regression);

/// Reads HDF5 with datasets X (m, n) and y: labels (m) or (m, 1); targets (m, C) with C > 1 or `regression`.
RawData load_hdf5(const std::filesystem::path& path, bool regression);

/// Reads a MATLAB 5 file with X (m, n) and y (m, 1), as load_hdf5.
RawData load_matlab(const std::filesystem::path& path, bool regression);

/// Reads a pair of IDX files: `path` names the images (…images-idx3-ubyte[.gz]), the labels are next to them
/// (…labels-idx1-ubyte[.gz]). Pixels keep their values 0 … 255.
RawData load_idx(const std::filesystem::path& path);

/// Loads the data.source of a recipe: "digits", "linear", "nonlinear" (generated from `seed`) or a path,
/// whose ending decides the format: .csv, .h5, .hdf5, .mat, IDX otherwise.
RawData load_data(const std::string& source, std::uint64_t seed, bool regression);

/// Shuffles with `seed`, takes ⌈test_fraction·examples⌉ examples as test set, scales by the statistics of the
/// training examples, and encodes labels. Throws InputError if no training example is left.
DataSet split_data(const RawData& raw, double test_fraction, std::uint64_t seed, Scaling scaling,
                   TargetEncoding encoding);

/// Transposes row-major rows × columns to columns × rows: converts between the layout of files (an example
/// per row) and that of networks.
std::vector<double> transposed(const std::vector<double>& values, Index rows, Index columns);

}  // namespace espectra
