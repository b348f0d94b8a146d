#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/labels.hpp"
#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <matio.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace espectra {

namespace {

struct MatFileCloser {
    void operator()(mat_t* file) const { Mat_Close(file); }
};
struct MatVariableFreer {
    void operator()(matvar_t* variable) const { Mat_VarFree(variable); }
};
using MatFile = std::unique_ptr<mat_t, MatFileCloser>;
using MatVariable = std::unique_ptr<matvar_t, MatVariableFreer>;

struct Matrix {
    Index rows = 0;
    Index columns = 0;
    std::vector<double> values;  // row-major
};

/// Converts column-major elements of type T to row-major doubles.
template <class T>
void transpose(const void* data, Matrix& matrix) {
    const T* const source = static_cast<const T*>(data);
    for (Index j = 0; j < matrix.columns; ++j)
        for (Index i = 0; i < matrix.rows; ++i)
            matrix.values[static_cast<std::size_t>(i * matrix.columns + j)] =
                static_cast<double>(source[j * matrix.rows + i]);
}

using Transpose = void (*)(const void*, Matrix&);

/// Returns null if the variable is not an array of numbers (cell, struct, text, sparse, …).
Transpose transpose_of(matio_classes class_type) {
    switch (class_type) {
        case MAT_C_DOUBLE:
            return transpose<double>;
        case MAT_C_SINGLE:
            return transpose<float>;
        case MAT_C_INT8:
            return transpose<std::int8_t>;
        case MAT_C_UINT8:
            return transpose<std::uint8_t>;
        case MAT_C_INT16:
            return transpose<std::int16_t>;
        case MAT_C_UINT16:
            return transpose<std::uint16_t>;
        case MAT_C_INT32:
            return transpose<std::int32_t>;
        case MAT_C_UINT32:
            return transpose<std::uint32_t>;
        case MAT_C_INT64:
            return transpose<std::int64_t>;
        case MAT_C_UINT64:
            return transpose<std::uint64_t>;
        default:
            return nullptr;
    }
}

Matrix read_matrix(mat_t* file, const std::string& path, const char* name) {
    const MatVariable variable(Mat_VarReadInfo(file, name));
    if (!variable) throw InputError(fmt::format("{}: no variable \"{}\"", path, name));
    const Transpose convert = transpose_of(variable->class_type);
    if (convert == nullptr || variable->isComplex != 0 || variable->rank != 2 || variable->dims == nullptr)
        throw InputError(fmt::format("{}: {}: expected a full real matrix of numbers", path, name));

    const InputError damaged(fmt::format("{}: {}: truncated or damaged MATLAB file", path, name));
    Matrix matrix;
    std::size_t size = 0;
    if (__builtin_mul_overflow(variable->dims[0], variable->dims[1], &size) ||
        size > std::numeric_limits<Index>::max() / sizeof(double))
        throw damaged;
    matrix.rows = static_cast<Index>(variable->dims[0]);
    matrix.columns = static_cast<Index>(variable->dims[1]);
    if (size == 0) return matrix;
    if (Mat_VarReadDataAll(file, variable.get()) != 0 || variable->data == nullptr ||
        variable->nbytes / static_cast<std::size_t>(std::max(variable->data_size, 1)) < size)
        throw damaged;
    matrix.values.resize(size);
    convert(variable->data, matrix);
    return matrix;
}

/// Returns places such as "points.mat: X(4, 2)", with subscripts from 1 as in MATLAB.
Place matlab_place(const std::string& file, const std::string& variable) {
    return [file, variable](Index row, Index column) {
        return fmt::format("{}: {}({}, {})", file, variable, row + 1, std::max<Index>(column, 0) + 1);
    };
}

}  // namespace

RawData load_matlab(const std::filesystem::path& path, bool regression) {
    require_readable_file(path);
    const std::string name = path.string();
    const MatFile file(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
    if (!file) throw InputError(fmt::format("{}: not a MATLAB file", name));

    Matrix x;
    Matrix y;
    try {
        x = read_matrix(file.get(), name, "X");
        y = read_matrix(file.get(), name, "y");
    } catch (const std::bad_alloc&) {
        throw ResourceError(fmt::format("{}: not enough memory to read it", name));
    }
    // Other programs store one-dimensional arrays as a row.
    if (y.rows == 1 && x.rows > 1) std::swap(y.rows, y.columns);
    require_equal(name + ": y: rows, as many as X", x.rows, y.rows);
    if (x.rows == 0) throw InputError(fmt::format("{}: no examples", name));
    if (x.columns == 0) throw InputError(fmt::format("{}: no features", name));
    if (y.columns == 0) throw InputError(fmt::format("{}: y: no columns", name));
    require_finite(x.values, x.columns, matlab_place(name, "X"));
    require_finite(y.values, y.columns, matlab_place(name, "y"));

    RawData raw;
    raw.source = name;
    raw.examples = x.rows;
    raw.feature_count = x.columns;
    raw.features = std::move(x.values);
    set_outcomes(raw, std::move(y.values), y.columns, regression, matlab_place(name, "y"));
    return raw;
}

}  // namespace espectra
