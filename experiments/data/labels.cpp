#include "espectra/experiments/data/labels.hpp"

#include "espectra/experiments/data/number_text.hpp"
#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace espectra {

namespace {

constexpr std::size_t most_classes = 1000;
constexpr const char* expectation =
    "expected integers or words as class labels; data.labels chooses others, network.loss = "
    "\"mean_squared_error\" makes them targets of a regression";

/// The different labels in their order, each with its first example.
template <class Label>
using FirstExamples = std::map<Label, Index>;

/// Adds the label of an example.
template <class Label>
void note_label(FirstExamples<Label>& found, const Label& label, std::size_t example, const Place& place) {
    const auto row = static_cast<Index>(example);
    if (found.try_emplace(label, row).second && found.size() > most_classes)
        throw InputError(
            fmt::format("{}: more than {} different labels: {}", place(row, -1), most_classes, expectation));
}

/// Numbers the labels that were found 0, 1, … in their order; `name` is the text of one.
template <class Label, class Name>
void set_classes(RawData& raw, const std::vector<Label>& labels, const FirstExamples<Label>& found,
                 Name name) {
    require_equal(raw.source + ": number of labels", raw.examples, static_cast<Index>(labels.size()));
    if (labels.empty()) throw InputError(fmt::format("{}: no examples", raw.source));
    if (found.size() < 2)
        throw InputError(fmt::format("{}: all {} labels are {}: expected at least two classes", raw.source,
                                     labels.size(), printable(name(labels.front()))));
    std::map<Label, int> classes;
    raw.description.class_labels.clear();
    for (const auto& [label, first] : found) {
        classes.emplace(label, static_cast<int>(classes.size()));
        raw.description.class_labels.push_back(name(label));
    }
    raw.labels.clear();
    for (const Label& label : labels) raw.labels.push_back(classes.at(label));
    raw.classes = static_cast<Index>(found.size());
    raw.target_count = 0;
    raw.targets.clear();
}

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
    FirstExamples<double> found;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double value = values[i];
        if (std::isinf(value) || value != std::floor(value))
            throw InputError(
                fmt::format("{}: label {}: {}", place(static_cast<Index>(i), -1), value, expectation));
        note_label(found, value, i, place);
    }
    // + 0.0 makes 0 of −0.
    set_classes(raw, values, found, [](double value) { return fmt::format("{}", value + 0.0); });
}

void set_labels(RawData& raw, const std::vector<std::string>& words, const Place& place) {
    FirstExamples<std::string> found;
    for (std::size_t i = 0; i < words.size(); ++i) note_label(found, words[i], i, place);
    Index first_number = -1, first_word = -1;
    for (const auto& [word, row] : found) {
        double value = 0;
        Index& first = parse_number(word, value) == NumberText::word ? first_word : first_number;
        if (first < 0 || row < first) first = row;
    }
    const auto text_of = [&](Index row) {
        return fmt::format("\"{}\"", printable(words[static_cast<std::size_t>(row)]));
    };
    if (first_number >= 0 && first_word >= 0)
        throw InputError(fmt::format(
            "{}: label {} is a word, but {}: label {} is a number: expected all words or all integers",
            place(first_word, -1), text_of(first_word), place(first_number, -1), text_of(first_number)));
    if (first_number < 0) return set_classes(raw, words, found, std::identity());
    std::vector<double> values(words.size());
    for (std::size_t i = 0; i < words.size(); ++i)
        if (parse_number(words[i], values[i]) == NumberText::out_of_range)
            throw InputError(fmt::format("{}: label {}: {}", place(static_cast<Index>(i), -1),
                                         text_of(static_cast<Index>(i)), expectation));
    set_labels(raw, values, place);
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

void set_outcomes(RawData& raw, std::vector<double> values, Index columns, const DataOptions& options,
                  const Place& place) {
    const bool labels =
        !options.labels.empty() || (options.targets.empty() && columns == 1 && !options.regression);
    if (labels && columns == 1)
        set_labels(raw, values, place);
    else
        set_targets(raw, std::move(values), columns, place);
}

}  // namespace espectra
