// Reads which kernels the device tests have launched on the emulated devices, each of which has written a
// list (ESPECTRA_EMULATED_LAUNCHES). Arguments: <capability>=<list> …, one or several for a capability.

#include "espectra/kernels/cuda/index_lists.hpp"

#include <gtest/gtest.h>

#include "kernels/documented_kernels.hpp"
#include "kernels/kernel_resources.hpp"
#include "ptx/runtime/listed_call.hpp"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace espectra {
namespace {

/// Mangled names of the kernels that were launched, by compute capability, in the order of the arguments.
std::vector<std::pair<std::string, std::set<std::string>>> launched;

/// Returns the mangled names of the kernels that were compiled for a compute capability, for example "9.0".
std::set<std::string> compiled(std::string capability) {
    capability.erase(capability.find('.'), 1);
    static const std::regex entry("\\.entry ([\\w$]+)");
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(ESPECTRA_PTX_FOLDER "/" + capability)) {
        std::ifstream lines(file.path());
        std::smatch match;
        for (std::string line; std::getline(lines, line);)
            if (std::regex_search(line, match, entry)) names.insert(match[1]);
    }
    return names;
}

/// Returns "FusedTrainingKernel<128>" of a mangled name.
std::string readable(const std::string& mangled) {
    KernelResources kernel;
    set_name(kernel, mangled);
    return kernel.name;
}

TEST(LaunchedKernels, AreAllKernels) {
    ASSERT_FALSE(launched.empty()) << "no list of launched kernels was given";
    std::set<std::string> all;
    for (const auto& [capability, names] : launched) all.insert(names.begin(), names.end());
    for (const auto& [capability, names] : launched) {
        const std::set<std::string> kernels = compiled(capability);
        EXPECT_FALSE(kernels.empty()) << capability;
        for (const std::string& kernel : kernels)
            EXPECT_TRUE(all.contains(kernel)) << readable(kernel) << ": no device test launches it";
    }
}

/// Expects a call of Thrust among the names for every kind of list.
template <class... K>
void expect_calls(const std::set<std::string>& names, const std::variant<K...>* /*lists*/) {
    for (const std::string& call : {ptx::listed_call<K>()...}) EXPECT_TRUE(names.contains(call)) << call;
}

TEST(LaunchedKernels, ThrustMakesEveryKindOfList) {
    for (const auto& [capability, names] : launched) {
        SCOPED_TRACE(capability);
        expect_calls(names, static_cast<const DeviceLists*>(nullptr));
    }
}

TEST(LaunchedKernels, AreThoseOfThePage) {
    constexpr std::size_t compiled_code = 2, device = 3;  // cells of a row
    for (const DocumentedKernel& row : documented_kernels(ESPECTRA_GPU_PAGE)) {
        ASSERT_EQ(row.cells.size(), 4u) << row.name;
        std::string executed;
        for (const auto& [capability, names] : launched)
            for (const std::string& kernel : names)
                if (row.is(readable(kernel))) {
                    executed += (executed.empty() ? "" : ", ") + capability;
                    break;
                }
        EXPECT_EQ(row.cells[compiled_code], executed) << row.name << ": compute capabilities in docs/gpu.md";
        EXPECT_TRUE(std::regex_match(row.cells[device], std::regex("no|\\d{4}-\\d\\d-\\d\\d"))) << row.name;
    }
}

}  // namespace
}  // namespace espectra

int main(int count, char** arguments) {
    ::testing::InitGoogleTest(&count, arguments);
    for (int i = 1; i < count; ++i) {
        const std::string argument = arguments[i];
        const std::size_t equal = argument.find('=');
        std::ifstream lines(equal == std::string::npos ? "" : argument.substr(equal + 1));
        if (!lines) {
            std::fprintf(stderr,
                         "%s: expected <capability>=<list of launched kernels>; run gpu_test_9.0 first\n",
                         argument.c_str());
            return 2;
        }
        const std::string capability = argument.substr(0, equal);
        auto& launched = espectra::launched;
        auto at = std::ranges::find(launched, capability, [](const auto& entry) { return entry.first; });
        if (at == launched.end()) at = launched.insert(at, {capability, {}});
        for (std::string line; std::getline(lines, line);) at->second.insert(line.substr(0, line.find('\t')));
    }
    return RUN_ALL_TESTS();
}
