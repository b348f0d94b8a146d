// Checks the structure of the source tree itself: which room includes which, that a name at namespace scope
// is defined in one file, and how long files and functions are. Described in CONTRIBUTING.md.

#include <gtest/gtest.h>

#include "house/source_outline.hpp"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace espectra {

namespace {

const std::filesystem::path source = ESPECTRA_SOURCE;

/// The rooms, each with those that it may include in addition to itself. Arrows go down only: a room is below
/// all that include it.
const std::map<std::string, std::set<std::string>> arrows = [] {
    std::map<std::string, std::set<std::string>> rooms;
    const auto room = [&](const std::string& name, const std::set<std::string>& direct) {
        std::set<std::string>& below = rooms[name];
        for (const std::string& other : direct) {
            below.insert(other);
            below.insert(rooms.at(other).begin(), rooms.at(other).end());
        }
    };
    room("runtime", {});
    room("runtime/cuda", {"runtime"});
    room("kernels", {"runtime"});
    room("kernels/math", {"kernels"});
    room("kernels/group", {"kernels/math"});
    room("kernels/cpu", {"kernels/math"});
    room("kernels/cpu/eigen", {"kernels/cpu"});
    room("kernels/cpu/hessian", {"kernels/cpu"});
    room("kernels/cpu/fused", {"kernels/cpu/hessian", "kernels/group"});
    room("kernels/cuda", {"kernels/group", "runtime/cuda"});
    room("models", {"kernels/math"});
    room("experiments/files", {"runtime"});
    room("experiments/statistics", {"runtime"});
    room("experiments/device", {"kernels", "runtime/cuda"});
    room("experiments/data", {"experiments/files", "models"});
    room("experiments/recipe", {"experiments/data"});
    room("experiments/store", {"experiments/recipe", "experiments/statistics"});
    room("experiments/replay", {"experiments/store", "experiments/device"});
    room("experiments/run", {"experiments/store", "experiments/device"});
    room("experiments/app", {"experiments/replay", "experiments/run"});
    // Benchmarks and time estimates call the kernels of the CPU directly.
    room("experiments/benchmarks",
         {"experiments/replay", "experiments/run", "kernels/cuda", "kernels/cpu/eigen", "kernels/cpu/fused"});
    return rooms;
}();

/// Includes that break an arrow for a reason.
const std::map<std::string, std::set<std::string>> exceptions = {
    // The cost of the CPU's kernels is estimated from their own tile sizes and rates.
    {"experiments/run/cost_estimate.cpp", {"kernels/cpu/blas.hpp"}},
};

bool is_source(const std::filesystem::path& path) {
    const std::string extension = path.extension().string();
    return extension == ".cpp" || extension == ".hpp" || extension == ".cu" || extension == ".cuh";
}

struct SourceFile {
    std::string name;  ///< relative to the root, with forward slashes
    std::string text;
};

std::vector<SourceFile> files_of(const std::vector<std::string>& folders) {
    std::vector<SourceFile> files;
    for (const std::string& folder : folders)
        for (const auto& entry : std::filesystem::recursive_directory_iterator(source / folder)) {
            if (!entry.is_regular_file() || !is_source(entry.path())) continue;
            std::stringstream text;
            text << std::ifstream(entry.path()).rdbuf();
            files.push_back({std::filesystem::relative(entry.path(), source).generic_string(), text.str()});
        }
    std::ranges::sort(files, {}, &SourceFile::name);
    return files;
}

const std::vector<std::string> product = {"runtime", "kernels", "models", "experiments"};

/// Returns the deepest room that holds this file, or an empty string.
std::string room_of(const std::string& file) {
    std::string folder = file;
    while (folder.find('/') != std::string::npos) {
        folder.resize(folder.rfind('/'));
        if (arrows.contains(folder)) return folder;
    }
    return "";
}

/// Returns true if one of these lines has a comment `// Long because …`.
bool has_reason(const std::vector<std::string>& lines, long first, long last) {
    for (long line = std::max(0L, first); line <= last && line < std::ssize(lines); ++line)
        if (lines[static_cast<std::size_t>(line)].find("// Long because ") != std::string::npos) return true;
    return false;
}

}  // namespace

TEST(House, EveryFileHasARoom) {
    for (const SourceFile& file : files_of(product)) EXPECT_NE(room_of(file.name), "") << file.name;
}

TEST(House, ArrowsGoDown) {
    for (const SourceFile& file : files_of(product)) {
        const std::string room = room_of(file.name);
        if (room.empty()) continue;
        const auto exception = exceptions.find(file.name);
        for (const std::string& included : included_files(file.text)) {
            const std::string other = room_of(included);
            if (other == room || (exception != exceptions.end() && exception->second.contains(included)))
                continue;
            EXPECT_TRUE(arrows.at(room).contains(other))
                << file.name << " includes " << included << ": " << room << " may not include " << other;
        }
    }
}

TEST(House, ExceptionsAreNeeded) {
    const std::vector<SourceFile> files = files_of(product);
    for (const auto& [name, includes] : exceptions) {
        const auto file = std::ranges::find(files, name, &SourceFile::name);
        ASSERT_NE(file, files.end()) << name;
        const std::vector<std::string> included = included_files(file->text);
        for (const std::string& header : includes)
            EXPECT_NE(std::ranges::find(included, header), included.end())
                << name << " does not include " << header;
    }
}

/// Two files that define one name differently violate the one-definition rule. Neither the compiler nor -flto
/// -Wodr reports it for constants: `inline constexpr Index n = 64` in one header and 48 in another link
/// without a message.
TEST(House, ANameAtNamespaceScopeIsDefinedInOneFile) {
    std::map<std::string, std::set<std::string>> places;
    for (const SourceFile& file : files_of(product))
        for (const Definition& definition : outline(file.text).definitions)
            places[definition.name].insert(file.name);
    EXPECT_GT(places.size(), 200u);
    for (const auto& [name, files] : places) {
        std::string list;
        for (const std::string& file : files) list += " " + file;
        EXPECT_EQ(files.size(), 1u) << name << " is defined in" << list;
    }
}

TEST(House, FilesHaveAtMost450LinesOrAReason) {
    std::vector<std::string> folders = product;
    folders.emplace_back("tests");
    for (const SourceFile& file : files_of(folders)) {
        const std::vector<std::string> lines = split_lines(file.text);
        if (lines.size() <= 450) continue;
        EXPECT_TRUE(has_reason(lines, 0, 30)) << file.name << ": " << lines.size() << " lines";
    }
}

TEST(House, FunctionsHaveAtMost80LinesOrAReason) {
    std::vector<std::string> folders = product;
    folders.emplace_back("tests");
    for (const SourceFile& file : files_of(folders)) {
        const std::vector<std::string> lines = split_lines(file.text);
        for (const Function& function : outline(file.text).functions) {
            const long length = function.last_line - function.first_line + 1;
            if (length <= 80) continue;
            EXPECT_TRUE(has_reason(lines, function.first_line - 6, function.first_line + 4))
                << file.name << ":" << function.first_line + 1 << ": a function of " << length << " lines";
        }
    }
}

/// Tables, code, headings, lines with links and text between `<!-- … -->` that a program writes are exempt.
/// Columns are code points.
TEST(House, MarkdownIsWrappedAt110Columns) {
    std::vector<std::filesystem::path> pages;
    for (const char* folder : {".", "docs", "experiments/data"})
        for (const auto& entry : std::filesystem::directory_iterator(source / folder))
            if (entry.path().extension() == ".md") pages.push_back(entry.path());
    EXPECT_GE(pages.size(), 10u);
    for (const std::filesystem::path& page : pages) {
        std::stringstream text;
        text << std::ifstream(page).rdbuf();
        bool code = false, generated = false;
        long number = 0;
        for (const std::string& line : split_lines(text.str())) {
            ++number;
            if (line.find("```") != std::string::npos) code = !code;
            if (line.starts_with("<!--")) generated = !line.starts_with("<!-- end");
            const auto columns = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
            if (code || generated || columns <= 110 ||
                line.find_first_of("|#<") == line.find_first_not_of(' ') ||
                line.find("](") != std::string::npos)
                continue;
            ADD_FAILURE() << page << ":" << number << ": " << columns << " columns";
        }
    }
}

// The outline that these checks rely on.

TEST(SourceOutline, FindsDefinitionsAndFunctions) {
    const Outline found = outline(R"(#pragma once
namespace espectra {
/* int no = 1; */ // struct No {};
inline constexpr Index block = 64, other = 3;
constexpr std::array<int, 2> table{{1, 2}};
struct Forward;
struct Point {
    int x = 0;
    int sum() const { return x; }
};
enum class Kind : int { one, two };
template <class T>
using Alias = Point;
namespace { struct Local {}; constexpr int local = 1; }
template <>
struct Trait<int> {};
inline int twice(int x) {
    const char* text = "} struct No {";
    if (x) { return 2; }
    return 2 * x;
}
}
)");
    std::vector<std::string> names;
    for (const Definition& definition : found.definitions) names.push_back(definition.name);
    EXPECT_EQ(names, (std::vector<std::string>{"espectra::block", "espectra::other", "espectra::table",
                                               "espectra::Point", "espectra::Kind", "espectra::Alias"}));
    ASSERT_EQ(found.functions.size(), 2u);
    EXPECT_EQ(found.functions[1].first_line, 16);
    EXPECT_EQ(found.functions[1].last_line, 20);
}

TEST(SourceOutline, FindsTheSameConstantInTwoHeaders) {
    const auto name = [](const char* text) { return outline(text).definitions.at(0).name; };
    EXPECT_EQ(name("namespace a { inline constexpr long column_block = 64; }"),
              name("namespace a {\ninline constexpr long column_block = 48;\n}"));
    EXPECT_NE(name("namespace a { inline constexpr long n = 64; }"),
              name("namespace a::b { inline constexpr long n = 48; }"));
}

}  // namespace espectra
