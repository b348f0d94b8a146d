#include "espectra/experiments/data/description.hpp"

#include "espectra/experiments/files/utf8.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace espectra {

namespace {

constexpr std::size_t most_listed = 12;   // names or classes
constexpr std::size_t longest_name = 40;  // in bytes

std::string counted_noun(Index count, const char* one, const char* several) {
    return fmt::format("{} {}", count, count == 1 ? one : several);
}

/// Joins the first of the names, with the number of the others.
std::string list(const std::vector<std::string>& names) {
    std::vector<std::string> shown;
    for (std::size_t i = 0; i < std::min(names.size(), most_listed); ++i)
        shown.push_back(printable(names[i], longest_name));
    return fmt::format("{}{}", fmt::join(shown, ", "),
                       names.size() > most_listed ? fmt::format(", … ({} in all)", names.size()) : "");
}

/// Returns " from <origin> (<names>)" as far as there are any.
std::string origin_text(const std::string& origin, const std::vector<std::string>& names) {
    const std::string from = origin.empty() ? "" : " from " + printable(origin);
    return names.empty() ? from : fmt::format("{} ({})", from, list(names));
}

/// Returns "2 classes", and the label of each class where it is not the number of the class.
std::string classes_text(const DataSet& data) {
    const std::vector<std::string>& labels = data.description.class_labels;
    const std::string count = counted_noun(data.classes, "class", "classes");
    std::vector<std::string> pairs;
    bool mapped = false;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        mapped = mapped || labels[i] != std::to_string(i);
        pairs.push_back(fmt::format("{} = {}", i, labels[i]));
    }
    return mapped ? fmt::format("{}: {}", count, list(pairs)) : count;
}

}  // namespace

std::string description_text(const DataSet& data) {
    const DataDescription& origin = data.description;
    const Index examples = data.train_examples + data.test_examples;
    std::vector<std::string> parts = {
        fmt::format("{} ({} to train, {} to test)", counted_noun(examples, "example", "examples"),
                    data.train_examples, data.test_examples),
        counted_noun(data.features, "feature", "features") +
            origin_text(origin.features, origin.feature_names)};
    const std::string outcomes = origin_text(origin.outcomes, origin.target_names);
    parts.push_back(data.classes > 0 ? fmt::format("labels{}, {}", outcomes, classes_text(data))
                                     : counted_noun(data.outputs, "target", "targets") + outcomes);
    parts.insert(parts.end(), origin.notes.begin(), origin.notes.end());
    return fmt::format("{}: {}", printable(data.source), fmt::join(parts, "; "));
}

}  // namespace espectra
