#pragma once

#include "support/demangled.hpp"
#include <algorithm>
#include <istream>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// Reads and judges the figures of kernels that ptxas -v reports.

namespace espectra {

/// One kernel on one architecture.
struct KernelResources {
    int architecture = 0;   ///< 90 for sm_90
    std::string name;       ///< of the group kernel, see set_name
    int threads = 0;        ///< of a block; 0: not a group kernel
    int registers = 0;      ///< of a thread
    long shared_bytes = 0;  ///< static, in addition to those of a launch
    long stack_bytes = 0, spill_store_bytes = 0, spill_load_bytes = 0;
};

/// "void espectra::block_kernel<espectra::group::AdamKernel<(espectra::Space)1>, 256>(…)" is AdamKernel of
/// 256 threads; of other kernels the name without its parameters.
inline void set_name(KernelResources& kernel, const std::string& mangled) {
    std::string name = test::demangled(mangled);
    // The parameter list: from the parenthesis that matches the last one.
    if (name.ends_with(')')) {
        int depth = 0;
        std::size_t at = name.size();
        do {
            --at;
            depth += name[at] == ')' ? 1 : name[at] == '(' ? -1 : 0;
        } while (depth > 0 && at > 0);
        name.resize(at);
    }
    static const std::regex block_kernel("^(?:void )?espectra::block_kernel<(.*), (\\d+)>$");
    std::smatch match;
    if (std::regex_match(name, match, block_kernel)) {
        kernel.threads = std::stoi(match[2]);
        name = match.str(1);
    }
    static const std::regex space(
        "<\\(espectra::Space\\)\\d>|, \\(espectra::Space\\)\\d|\\(espectra::Space\\)\\d, ");
    name = std::regex_replace(name, space, "");
    static const std::regex scope("espectra::(group::|\\(anonymous namespace\\)::)*");
    name = std::regex_replace(name, scope, "");
    static const std::regex closing(" +>");
    kernel.name = std::regex_replace(name, closing, ">");
}

/// Returns true for kernels of Thrust, which consist of those of CUB: they are not this project's to mend.
inline bool is_of_thrust(const KernelResources& kernel) {
    static const std::regex scope("^(?:void )?(?:cub|thrust)::");
    return std::regex_search(kernel.name, scope);
}

/// Returns the kernels in the output of ptxas -v. Throws std::runtime_error if a kernel's figures are
/// missing, in which case the output has another form.
inline std::vector<KernelResources> read_resources(std::istream& log) {
    static const std::regex entry("Compiling entry function '([^']+)' for 'sm_(\\d+)[a-z]?'"),
        stack("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads"),
        used("Used (\\d+) registers"), shared("(\\d+) bytes smem");
    std::vector<KernelResources> kernels;
    bool in_kernel = false, has_stack = false, has_registers = true;
    const auto finish = [&] {
        if (in_kernel && !(has_stack && has_registers))
            throw std::runtime_error("ptxas -v: no figures of " + kernels.back().name);
    };
    std::smatch match;
    for (std::string line; std::getline(log, line);) {
        if (std::regex_search(line, match, entry)) {
            finish();
            kernels.emplace_back().architecture = std::stoi(match[2]);
            set_name(kernels.back(), match[1]);
            in_kernel = true;
            has_stack = has_registers = false;
        } else if (in_kernel && std::regex_search(line, match, stack)) {
            // Functions that are called and not inlined have figures of their own, which count for their
            // kernel.
            kernels.back().stack_bytes += std::stol(match[1]);
            kernels.back().spill_store_bytes += std::stol(match[2]);
            kernels.back().spill_load_bytes += std::stol(match[3]);
            has_stack = true;
        } else if (in_kernel && std::regex_search(line, match, used)) {
            kernels.back().registers = std::stoi(match[1]);
            has_registers = true;
            if (std::regex_search(line, match, shared)) kernels.back().shared_bytes = std::stol(match[1]);
        }
    }
    finish();
    return kernels;
}

/// A kernel that may have a stack frame or spills of up to `bytes` in all on one architecture.
struct ColdKernel {
    std::string_view name;
    int architecture;
    long bytes;
    std::string_view reason;
    bool is(const KernelResources& kernel) const {
        return kernel.name == name && kernel.architecture == architecture;
    }
};

/// Returns one line for each defect of these kernels: spills and stack frames of kernels not in `cold`,
/// architectures without a kernel, entries of `cold` that are not needed.
inline std::vector<std::string> complaints(const std::vector<KernelResources>& kernels,
                                           const std::vector<int>& architectures,
                                           const std::vector<ColdKernel>& cold) {
    std::vector<std::string> lines;
    const auto local_bytes = [](const KernelResources& kernel) {
        return kernel.stack_bytes + kernel.spill_store_bytes + kernel.spill_load_bytes;
    };
    const auto on = [](int architecture) { return "sm_" + std::to_string(architecture) + ": "; };
    for (const int architecture : architectures)
        if (std::ranges::none_of(kernels,
                                 [&](const auto& kernel) { return kernel.architecture == architecture; }))
            lines.push_back(on(architecture) + "no kernel");
    for (const ColdKernel& entry : cold)
        if (std::ranges::none_of(
                kernels, [&](const auto& kernel) { return entry.is(kernel) && local_bytes(kernel) > 0; }))
            lines.push_back(on(entry.architecture) + std::string(entry.name) +
                            ": listed as cold, but does not spill");
    for (const KernelResources& kernel : kernels)
        if (local_bytes(kernel) > 0 && std::ranges::none_of(cold, [&](const auto& entry) {
                return entry.is(kernel) && local_bytes(kernel) <= entry.bytes;
            }))
            lines.push_back(on(kernel.architecture) + kernel.name + ": " +
                            std::to_string(kernel.stack_bytes) + " bytes stack frame, " +
                            std::to_string(kernel.spill_store_bytes) + " bytes spill stores, " +
                            std::to_string(kernel.spill_load_bytes) + " bytes spill loads");
    return lines;
}

}  // namespace espectra
