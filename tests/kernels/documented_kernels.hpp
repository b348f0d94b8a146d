#pragma once

#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace espectra {

/// A row of the table in section "Kernels" of docs/gpu.md: | `AdamKernel` | computes | benchmark | PTX | GPU
/// |.
struct DocumentedKernel {
    std::string name;
    std::vector<std::string> cells;  ///< those after the name

    /// Returns true if this is the row of a kernel, given by its name with template arguments.
    bool is(const std::string& kernel) const {
        return std::regex_search(kernel, std::regex("\\b" + name + "\\b"));
    }
};

inline std::vector<DocumentedKernel> documented_kernels(const std::string& page) {
    std::vector<DocumentedKernel> rows;
    std::ifstream lines(page);
    bool in_section = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("## ")) in_section = line == "## Kernels";
        if (!in_section || !line.starts_with("| `")) continue;
        DocumentedKernel row{line.substr(3, line.find('`', 3) - 3), {}};
        for (std::size_t at = line.find(" | "); at != std::string::npos;) {
            const std::size_t begin = at + 3;
            at = line.find(" | ", begin);
            const std::size_t end = at == std::string::npos ? line.rfind(" |") : at;
            row.cells.push_back(line.substr(begin, end - begin));
        }
        rows.push_back(row);
    }
    return rows;
}

}  // namespace espectra
