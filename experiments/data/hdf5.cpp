#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/labels.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace espectra {

namespace {

struct Matrix {
    Index rows = 0;
    Index columns = 0;
    std::vector<double> values;  // row-major
};

/// Reads a dataset of rank 2, or one of rank 1 as one column.
Matrix read_matrix(const Hdf5File& file, const std::string& name) {
    const std::vector<Index> extents = file.extents(name);
    if (extents.empty() || extents.size() > 2)
        throw InputError(fmt::format("{}: {}: expected 2 axes (examples, features), got {}",
                                     file.path().string(), name, extents.size()));
    Matrix matrix;
    matrix.rows = extents[0];
    matrix.columns = extents.size() == 2 ? extents[1] : 1;
    matrix.values = file.read<double>(name);
    return matrix;
}

/// Reads `features` (m, n) and `outcomes` (m) or (m, C) of equal m.
std::pair<Matrix, Matrix> read_pair(const Hdf5File& file, const std::string& features,
                                    const std::string& outcomes) {
    Matrix x = read_matrix(file, features);
    Matrix y = read_matrix(file, outcomes);
    const std::string prefix = file.path().string() + ": ";
    require_equal(fmt::format("{}{}: rows, as many as {}", prefix, outcomes, features), x.rows, y.rows);
    if (y.rows > 0 && y.columns == 0) throw InputError(fmt::format("{}{}: no columns", prefix, outcomes));
    require_finite(x.values, x.columns, numpy_place(file.path().string(), features));
    require_finite(y.values, y.columns, numpy_place(file.path().string(), outcomes));
    return {std::move(x), std::move(y)};
}

/// Returns the class of each one-hot row; a single 0/1 column holds the classes themselves.
std::vector<double> decode_one_hot(const Matrix& y, const Place& place) {
    if (y.columns == 1) return y.values;
    std::vector<double> labels;
    for (Index row = 0; row < y.rows; ++row) {
        const double* const begin = y.values.data() + row * y.columns;
        const double* const end = begin + y.columns;
        const auto ones = std::count(begin, end, 1.0);
        const auto zeros = std::count(begin, end, 0.0);
        if (zeros == y.columns)
            throw InputError(
                fmt::format("{}: the target row is all zero: its class is not recorded", place(row, -1)));
        if (ones != 1 || ones + zeros != y.columns)
            throw InputError(fmt::format("{}: expected a one-hot row (one 1, the others 0)", place(row, -1)));
        labels.push_back(static_cast<double>(std::find(begin, end, 1.0) - begin));
    }
    return labels;
}

/// Reads the data of a recorded run: data/X_train, data/Y_train, followed by data/X_test, data/Y_test where
/// they exist.
RawData read_recorded_run(const Hdf5File& file, bool regression) {
    const std::string name = file.path().string();
    auto [x, y] = read_pair(file, "data/X_train", "data/Y_train");
    const Index train = x.rows;
    if (file.exists("data/X_test")) {
        const auto [x_test, y_test] = read_pair(file, "data/X_test", "data/Y_test");
        require_equal(name + ": data/X_test: columns", x.columns, x_test.columns);
        require_equal(name + ": data/Y_test: columns", y.columns, y_test.columns);
        x.rows += x_test.rows;
        y.rows += y_test.rows;
        x.values.insert(x.values.end(), x_test.values.begin(), x_test.values.end());
        y.values.insert(y.values.end(), y_test.values.begin(), y_test.values.end());
    }
    const Place place = [name, train](Index row, Index column) {
        return row < train ? numpy_place(name, "data/Y_train")(row, column)
                           : numpy_place(name, "data/Y_test")(row - train, column);
    };

    RawData raw;
    raw.source = name;
    raw.examples = x.rows;
    raw.feature_count = x.columns;
    raw.features = std::move(x.values);
    if (regression)
        set_targets(raw, std::move(y.values), y.columns, place);
    else
        set_labels(raw, decode_one_hot(y, place), place);
    return raw;
}

}  // namespace

RawData load_hdf5(const std::filesystem::path& path, bool regression) {
    const Hdf5File file = Hdf5File::open(path);
    RawData raw;
    if (!file.exists("X") && file.exists("data/X_train")) {
        raw = read_recorded_run(file, regression);
    } else {
        auto [x, y] = read_pair(file, "X", "y");
        raw.source = path.string();
        raw.examples = x.rows;
        raw.feature_count = x.columns;
        raw.features = std::move(x.values);
        set_outcomes(raw, std::move(y.values), y.columns, regression, numpy_place(path.string(), "y"));
    }
    if (raw.feature_count == 0) throw InputError(fmt::format("{}: no features", path.string()));
    return raw;
}

}  // namespace espectra
