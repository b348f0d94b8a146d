#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>

namespace espectra {

namespace {

void check_consistency(const RawData& raw) {
    const auto check = [&](const char* what, Index expected, std::size_t actual) {
        require_equal(fmt::format("{}: number of {}", raw.source, what), expected,
                      static_cast<Index>(actual));
    };
    check("features", raw.examples * raw.feature_count, raw.features.size());
    if (raw.classes == 0) {
        check("targets", raw.examples * raw.target_count, raw.targets.size());
        return;
    }
    check("labels", raw.examples, raw.labels.size());
    for (const int label : raw.labels)
        if (label < 0 || label >= raw.classes)
            throw InputError(
                fmt::format("{}: label {}: expected integers 0 ... {}", raw.source, label, raw.classes - 1));
}

/// Gathers the examples in `chosen` from `rows` (row-major examples × width) as [width, count].
std::vector<double> gather(const std::vector<double>& rows, Index width, const Index* chosen, Index count) {
    std::vector<double> result(static_cast<std::size_t>(width * count));
    for (Index j = 0; j < count; ++j)
        for (Index i = 0; i < width; ++i)
            result[static_cast<std::size_t>(i * count + j)] =
                rows[static_cast<std::size_t>(chosen[j] * width + i)];
    return result;
}

/// Returns the targets [outputs, count]: the labels themselves (0 or 1) if outputs is 1, else one-hot
/// columns.
std::vector<double> encode(const std::vector<int>& labels, Index outputs, const Index* chosen, Index count) {
    std::vector<double> result(static_cast<std::size_t>(outputs * count), 0.0);
    for (Index j = 0; j < count; ++j) {
        const int label = labels[static_cast<std::size_t>(chosen[j])];
        if (outputs == 1)
            result[static_cast<std::size_t>(j)] = label;
        else
            result[static_cast<std::size_t>(label * count + j)] = 1.0;
    }
    return result;
}

/// Replaces each of `size` numbers x by (x − shift)/width, or by 0 if width is 0.
void apply(double* x, Index size, double shift, double width) {
    for (Index i = 0; i < size; ++i) x[i] = width > 0.0 ? (x[i] - shift) / width : 0.0;
}

void require_scalable(const std::string& source, const std::string& what, double width) {
    if (!std::isfinite(width))
        throw InputError(fmt::format("{}: {} cannot be scaled: its range overflows", source, what));
}

void scale_unit(DataSet& data) {
    const auto [low, high] = std::minmax_element(data.x_train.begin(), data.x_train.end());
    const double shift = *low;
    const double width = *high - *low;
    require_scalable(data.source, "the data", width);
    apply(data.x_train.data(), static_cast<Index>(data.x_train.size()), shift, width);
    apply(data.x_test.data(), static_cast<Index>(data.x_test.size()), shift, width);
}

void scale_standard(DataSet& data) {
    for (Index i = 0; i < data.features; ++i) {
        double* const train = data.x_train.data() + i * data.train_examples;
        const double* const end = train + data.train_examples;
        const auto [low, high] = std::minmax_element<const double*>(train, end);
        const double count = static_cast<double>(data.train_examples);
        const double mean = std::accumulate<const double*>(train, end, 0.0) / count;
        const double square = std::accumulate<const double*>(
            train, end, 0.0, [=](double sum, double x) { return sum + (x - mean) * (x - mean); });
        // Rounding of the mean gives a constant feature a tiny deviation: its extremes decide.
        const double deviation = *low == *high ? 0.0 : std::sqrt(square / count);
        require_scalable(data.source, fmt::format("feature {}", i), deviation);
        apply(train, data.train_examples, mean, deviation);
        apply(data.x_test.data() + i * data.test_examples, data.test_examples, mean, deviation);
    }
}

}  // namespace

DataSet split_data(const RawData& raw, double test_fraction, std::uint64_t seed, Scaling scaling,
                   TargetEncoding encoding) {
    check_consistency(raw);
    if (!(test_fraction >= 0.0 && test_fraction < 1.0))
        throw InputError(
            fmt::format("{}: test_fraction {}: expected 0 <= test_fraction < 1", raw.source, test_fraction));

    // 0.07·100 is 7 + 9e-16 in binary: a product that is an integer up to rounding is not rounded up.
    const double product = test_fraction * static_cast<double>(raw.examples);
    const auto test = static_cast<Index>(std::ceil(product * (1.0 - 1e-12)));
    const Index train = raw.examples - test;
    if (train <= 0)
        throw InputError(fmt::format("{}: test_fraction {} of {} examples leaves none to train on",
                                     raw.source, test_fraction, raw.examples));

    std::vector<Index> order(static_cast<std::size_t>(raw.examples));
    std::iota(order.begin(), order.end(), Index{0});
    RandomStream(seed, split_stream).shuffle(order);
    const Index* const chosen_test = order.data();
    const Index* const chosen_train = order.data() + test;

    DataSet data;
    data.source = raw.source;
    data.features = raw.feature_count;
    data.classes = raw.classes;
    data.train_examples = train;
    data.test_examples = test;
    data.x_train = gather(raw.features, raw.feature_count, chosen_train, train);
    data.x_test = gather(raw.features, raw.feature_count, chosen_test, test);
    if (raw.classes == 0) {
        data.outputs = raw.target_count;
        data.y_train = gather(raw.targets, raw.target_count, chosen_train, train);
        data.y_test = gather(raw.targets, raw.target_count, chosen_test, test);
    } else {
        const bool binary = raw.classes == 2 && encoding == TargetEncoding::binary_when_two;
        data.outputs = binary ? 1 : raw.classes;
        data.y_train = encode(raw.labels, data.outputs, chosen_train, train);
        data.y_test = encode(raw.labels, data.outputs, chosen_test, test);
    }
    switch (scaling) {
        case Scaling::unit:
            if (data.features > 0) scale_unit(data);
            break;
        case Scaling::standard:
            scale_standard(data);
            break;
        case Scaling::none:
            break;
    }
    return data;
}

RawData load_data(const std::string& source, std::uint64_t seed, bool regression) {
    if (source == "digits") return load_digits();
    if (source == "linear") return generate_linear(seed);
    if (source == "nonlinear") return generate_nonlinear(seed);

    const std::filesystem::path path(source);
    require_readable_file(path);
    std::string ending = path.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (ending == ".csv") return load_csv(path, regression);
    if (ending == ".h5" || ending == ".hdf5") return load_hdf5(path, regression);
    if (ending == ".mat") return load_matlab(path, regression);
    return load_idx(path);
}

std::vector<double> transposed(const std::vector<double>& values, Index rows, Index columns) {
    std::vector<double> result(values.size());
    for (Index r = 0; r < rows; ++r)
        for (Index c = 0; c < columns; ++c)
            result[static_cast<std::size_t>(c * rows + r)] =
                values[static_cast<std::size_t>(r * columns + c)];
    return result;
}

}  // namespace espectra
