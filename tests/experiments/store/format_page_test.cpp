// The tables of docs/file-formats.md come from the schema. ESPECTRA_UPDATE_PAGES=1 writes them anew.

#include "espectra/experiments/store/schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace espectra {
namespace {

const std::filesystem::path page = ESPECTRA_FORMAT_PAGE;

std::string symbol(Axis axis) {
    switch (axis) {
        case Axis::replica:
            return "R";
        case Axis::snapshot:
            return "E";
        case Axis::parameter:
        case Axis::eigenvalue:
            return "P";
        case Axis::search:
            return "K";
        case Axis::train_example:
        case Axis::test_example:
            return "m";
        case Axis::feature:
            return "n₀";
        case Axis::output:
            return "C";
        case Axis::cost_bin:
            return std::to_string(cost_bins);
        case Axis::tolerance:
            return std::to_string(tolerances);
        case Axis::statistic:
        case Axis::quartiles:
        case Axis::estimate:
        case Axis::bin_medians:
        case Axis::tolerance_quartiles:
        case Axis::comparison:
            break;
    }
    return std::to_string(axis_entries(axis).size());
}

std::string row(const std::string& names, const Dataset& dataset) {
    std::vector<std::string> symbols;
    for (const Axis axis : dataset.axes) symbols.push_back(symbol(axis));
    std::string meaning(dataset.meaning);
    if (!dataset.condition.text.empty()) meaning = fmt::format("{}: {}", dataset.condition.text, meaning);
    if (dataset.numbers == Numbers::int64) meaning = "int64, " + meaning;
    return fmt::format("| {} | ({}) | {} |\n", names, fmt::join(symbols, ", "), meaning);
}

std::string code(std::string_view name) { return fmt::format("`{}`", name); }

std::string table(const std::vector<std::string>& rows) {
    return fmt::format("| dataset | shape | content |\n|---|---|---|\n{}", fmt::join(rows, ""));
}

std::string group_table() {
    std::vector<std::string> rows = {row("`epoch`", epoch_dataset),
                                     row("`theta_initial`", theta_initial_dataset)};
    for (const auto& column : snapshot_columns) rows.push_back(row(code(column.name), column));
    rows.push_back(row("`seconds_training`", seconds_training_dataset));
    for (const auto& column : data_columns)
        rows.push_back(row(fmt::format("`data/{}`", column.name), column));
    return table(rows);
}

std::string critical_points_table() {
    std::vector<std::string> rows = {row("`epoch`", search_epoch_dataset)};
    for (const auto& column : critical_point_columns) rows.push_back(row(code(column.name), column));
    return table(rows);
}

std::string statistics_table() {
    std::vector<std::string> names;
    for (const Statistic statistic : Statistic::all()) names.push_back(code(statistic.name()));
    std::vector<std::string> rows = {
        row(fmt::format("{}", fmt::join(names, ", ")), quartiles_dataset("cost"))};
    for (const Dataset& dataset : statistics_datasets) rows.push_back(row(code(dataset.name), dataset));
    rows.push_back(row("`paired/<group>`", paired_dataset("paired/<group>")));
    return table(rows);
}

/// Replaces the text between the markers of a table, which have to be there once.
void replace(std::string& text, const std::string& name, const std::string& table) {
    const std::string begin = fmt::format("<!-- {}: generated from the schema -->\n", name),
                      end = fmt::format("<!-- end of {} -->\n", name);
    const auto first = text.find(begin), last = text.find(end);
    ASSERT_NE(first, std::string::npos) << begin;
    ASSERT_NE(last, std::string::npos) << end;
    text.replace(first + begin.size(), last - first - begin.size(), "\n" + table + "\n");
}

TEST(FormatPage, HasTheTablesOfTheSchema) {
    std::stringstream stream;
    stream << std::ifstream(page).rdbuf();
    const std::string stored = stream.str();
    std::string wanted = stored;
    replace(wanted, "datasets of a group", group_table());
    replace(wanted, "datasets of critical_points", critical_points_table());
    replace(wanted, "datasets of statistics", statistics_table());
    if (std::getenv("ESPECTRA_UPDATE_PAGES") != nullptr) std::ofstream(page) << wanted;
    EXPECT_TRUE(stored == wanted) << page
                                  << " differs from the schema: run this test with ESPECTRA_UPDATE_PAGES=1";
}

}  // namespace
}  // namespace espectra
