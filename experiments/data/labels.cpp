#include "espectra/experiments/data/labels.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace espectra {

namespace {

constexpr int most_classes = 1000;
constexpr const char* expectation = "expected integers 0 ... C-1 with every class present";

}  // namespace

Place numpy_place(const std::string& file, const std::string& dataset) {
    return [file, dataset](Index row, Index column) {
        return column < 0 ? fmt::format("{}: {}[{}]", file, dataset, row)
                          : fmt::format("{}: {}[{}, {}]", file, dataset, row, column);
    };
}

void require_finite(const std::vector<double>& values, Index columns, const Place& place) {
    const auto bad =
        std::find_if(values.begin(), values.end(), [](double value) { return !std::isfinite(value); });
    if (bad == values.end()) return;
    const Index position = bad - values.begin();
    throw InputError(
        fmt::format("{}: {} is not a finite number", place(position / columns, position % columns), *bad));
}

void set_labels(RawData& raw, const std::vector<double>& values, const Place& place) {
    require_equal(raw.source + ": number of labels", raw.examples, static_cast<Index>(values.size()));
    if (values.empty()) throw InputError(fmt::format("{}: no examples", raw.source));

    raw.labels.clear();
    raw.labels.reserve(values.size());
    std::vector<Index> count;  // of examples per class
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double value = values[i];
        const auto reject = [&](const std::string& reason) {
            throw InputError(
                fmt::format("{}: label {}: {}", place(static_cast<Index>(i), -1), value, reason));
        };
        if (!(value >= 0.0) || value != std::floor(value)) reject(expectation);
        if (value >= most_classes) reject(fmt::format("{}, at most {} classes", expectation, most_classes));
        const int label = static_cast<int>(value);
        if (count.size() <= static_cast<std::size_t>(label))
            count.resize(static_cast<std::size_t>(label) + 1);
        ++count[static_cast<std::size_t>(label)];
        raw.labels.push_back(label);
    }

    const auto missing = std::find(count.begin(), count.end(), 0);
    if (missing != count.end()) {
        const int absent = static_cast<int>(missing - count.begin());
        const bool from_one = absent == 0 && std::find(missing + 1, count.end(), 0) == count.end();
        const auto above =
            std::find_if(raw.labels.begin(), raw.labels.end(), [=](int label) { return label > absent; });
        const Index row = above - raw.labels.begin();
        throw InputError(from_one
                             ? fmt::format("{}: label {}: labels are 1 ... {}, expected 0 ... {}: subtract 1",
                                           place(row, -1), *above, count.size() - 1, count.size() - 2)
                             : fmt::format("{}: label {}: {}, but class {} has no example", place(row, -1),
                                           *above, expectation, absent));
    }
    if (count.size() < 2)
        throw InputError(fmt::format("{}: all {} labels are 0: expected at least two classes", raw.source,
                                     raw.labels.size()));
    raw.classes = static_cast<Index>(count.size());
    raw.target_count = 0;
    raw.targets.clear();
}

void set_targets(RawData& raw, std::vector<double> values, Index columns, const Place& place) {
    require_equal(raw.source + ": number of targets", raw.examples * columns,
                  static_cast<Index>(values.size()));
    if (values.empty()) throw InputError(fmt::format("{}: no examples", raw.source));
    require_finite(values, columns, place);
    raw.targets = std::move(values);
    raw.target_count = columns;
    raw.classes = 0;
    raw.labels.clear();
}

void set_outcomes(RawData& raw, std::vector<double> values, Index columns, bool regression,
                  const Place& place) {
    if (columns > 1 || regression)
        set_targets(raw, std::move(values), columns, place);
    else
        set_labels(raw, values, place);
}

}  // namespace espectra
