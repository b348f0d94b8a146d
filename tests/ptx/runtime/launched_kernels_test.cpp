// Reads which kernels the device tests have launched on the emulated devices, and without which of their
// barriers there was a finding. Each device test has written a list (ESPECTRA_EMULATED_LAUNCHES), with
// barriers left out (ESPECTRA_EMULATED_BARRIERS). Arguments: <capability>=<list> …, one or several for a
// capability.

#include "espectra/kernels/cuda/index_lists.hpp"

#include <gtest/gtest.h>

#include "kernels/documented_kernels.hpp"
#include "kernels/kernel_resources.hpp"
#include "ptx/runtime/listed_call.hpp"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace espectra {
namespace {

/// What was launched on a device: kernels by their mangled names, and calls of libraries.
struct Launched {
    std::string capability;                      ///< for example "9.0"
    std::map<std::string, std::string> kernels;  ///< a digit for each barrier, 1: reported when left out
};

/// By compute capability, in the order of the arguments.
std::vector<Launched> launched;

void read_list(const std::string& capability, std::istream& list) {
    auto device = std::ranges::find(launched, capability, &Launched::capability);
    if (device == launched.end()) device = launched.insert(launched.end(), {capability, {}});
    for (std::string line; std::getline(list, line);) {
        constexpr std::size_t barriers_field = 6;
        std::vector<std::string> fields;
        std::istringstream text(line);
        for (std::string field; std::getline(text, field, '\t');) fields.push_back(field);
        std::string& known = device->kernels[fields.at(0)];
        if (fields.size() <= barriers_field) continue;
        const std::string& barriers = fields[barriers_field];
        known.resize(std::max(known.size(), barriers.size()), '0');
        for (std::size_t i = 0; i < barriers.size(); ++i) known[i] = std::max(known[i], barriers[i]);
    }
}

/// Returns the mangled names of the kernels that were compiled for a compute capability, each with the lines
/// of its barriers in the PTX file.
std::map<std::string, std::vector<int>> compiled(std::string capability) {
    capability.erase(capability.find('.'), 1);
    static const std::regex entry("\\.entry ([\\w$]+)");
    std::map<std::string, std::vector<int>> kernels;
    for (const auto& file : std::filesystem::directory_iterator(ESPECTRA_PTX_FOLDER "/" + capability)) {
        std::ifstream lines(file.path());
        std::vector<int>* barriers = nullptr;
        int number = 0;
        for (std::string line; std::getline(lines, line);) {
            ++number;
            std::smatch match;
            if (std::regex_search(line, match, entry)) barriers = &kernels[match[1]];
            if (barriers != nullptr && line.find("bar.sync") != std::string::npos)
                barriers->push_back(number);
        }
    }
    return kernels;
}

/// Returns "FusedTrainingKernel<128>" of a mangled name.
std::string readable(const std::string& mangled) {
    KernelResources kernel;
    set_name(kernel, mangled);
    return kernel.name;
}

/// Expects that each barrier of the kernels that were launched has been reported.
void expect_all_barriers_reported() {
    for (const Launched& device : launched) {
        std::size_t barriers = 0;
        for (const auto& [name, lines] : compiled(device.capability)) {
            const auto reported = device.kernels.find(name);
            if (reported == device.kernels.end()) continue;
            barriers += lines.size();
            ASSERT_EQ(reported->second.size(), lines.size())
                << readable(name) << ": barriers have not been left out";
            for (std::size_t i = 0; i < lines.size(); ++i)
                EXPECT_EQ(reported->second[i], '1') << device.capability << ", " << readable(name)
                                                    << ": no device test shows that the barrier in line "
                                                    << lines[i] << " of its PTX is needed";
        }
        EXPECT_GT(barriers, 0u) << device.capability;
        std::printf("%s: %zu barriers\n", device.capability.c_str(), barriers);
    }
}

TEST(LaunchedKernels, AreAllKernels) {
    ASSERT_FALSE(launched.empty()) << "no list of launched kernels was given";
    std::set<std::string> all;
    for (const Launched& device : launched)
        for (const auto& [kernel, barriers] : device.kernels) all.insert(kernel);
    for (const Launched& device : launched) {
        const auto kernels = compiled(device.capability);
        EXPECT_FALSE(kernels.empty()) << device.capability;
        for (const auto& [kernel, barriers] : kernels)
            EXPECT_TRUE(all.contains(kernel)) << readable(kernel) << ": no device test launches it";
    }
}

/// Expects a call of Thrust among the launches for every kind of list.
template <class... K>
void expect_calls(const Launched& device, const std::variant<K...>* /*lists*/) {
    for (const std::string& call : {ptx::listed_call<K>()...})
        EXPECT_TRUE(device.kernels.contains(call)) << call;
}

TEST(LaunchedKernels, ThrustMakesEveryKindOfList) {
    for (const Launched& device : launched) {
        SCOPED_TRACE(device.capability);
        expect_calls(device, static_cast<const DeviceLists*>(nullptr));
    }
}

TEST(LaunchedKernels, NeedEachOfTheirBarriers) { expect_all_barriers_reported(); }

TEST(LaunchedKernels, AreThoseOfThePage) {
    constexpr std::size_t compiled_code = 2, device = 3;  // cells of a row
    for (const DocumentedKernel& row : documented_kernels(ESPECTRA_GPU_PAGE)) {
        ASSERT_EQ(row.cells.size(), 4u) << row.name;
        std::string executed;
        for (const Launched& on : launched)
            for (const auto& [kernel, barriers] : on.kernels)
                if (row.is(readable(kernel))) {
                    executed += (executed.empty() ? "" : ", ") + on.capability;
                    break;
                }
        EXPECT_EQ(row.cells[compiled_code], executed) << row.name << ": compute capabilities in docs/gpu.md";
        EXPECT_TRUE(std::regex_match(row.cells[device], std::regex("no|\\d{4}-\\d\\d-\\d\\d"))) << row.name;
    }
}

// With products by multiply-adds and by tensor cores on each architecture.

TEST(LaunchedKernelsOfAllArchitectures, AreAllKernels) {
    ASSERT_EQ(launched.size(), 4u);
    for (const Launched& device : launched)
        for (const auto& [kernel, barriers] : compiled(device.capability))
            EXPECT_TRUE(device.kernels.contains(kernel))
                << device.capability << ", " << readable(kernel) << ": no device test launches it";
}

TEST(LaunchedKernelsOfAllArchitectures, NeedEachOfTheirBarriers) { expect_all_barriers_reported(); }

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
        espectra::read_list(argument.substr(0, equal), lines);
    }
    return RUN_ALL_TESTS();
}
