// Plants faults in the PTX of compiled kernels and in their launches. Each has to be caught by the check that
// the test names: a fault among the findings, or a wrong result where every access is allowed. Faults in
// calls of the runtime and of libraries (leading dimensions, streams that are not waited for) are planted in
// tests/ptx/runtime.

#include "espectra/kernels/group/dense.hpp"
#include "espectra/kernels/group/matrix.hpp"
#include "espectra/kernels/group/optimizer.hpp"

#include <gtest/gtest.h>

#include "ptx/execution/kernel.hpp"
#include "ptx/memory/memory_fixture.hpp"
#include "ptx/program/program.hpp"
#include "support/demangled.hpp"
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

namespace espectra::ptx {

namespace {

using espectra::test::demangled;

constexpr auto on_device = espectra::Space::device;

std::vector<std::string> lines_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

/// Returns the text of a module with the compiled group kernel K alone, in lines.
template <class K>
std::vector<std::string> module_of(const std::string& architecture) {
    const std::string wanted = "void espectra::block_kernel<" + demangled(typeid(K).name()) + ", ";
    const std::string entry = ".entry ";
    for (const auto& file : std::filesystem::directory_iterator(ESPECTRA_PTX_FOLDER "/" + architecture)) {
        std::vector<std::string> module;
        bool before = true, found = false;
        for (const std::string& line : lines_of(file.path())) {
            if (const auto at = line.find(entry); at != std::string::npos) {
                std::string symbol = line.substr(at + entry.size());
                symbol.resize(symbol.find_first_of("( "));
                before = false;
                found = demangled(symbol).starts_with(wanted);
            }
            if (before || found) module.push_back(line);
            if (found && line == "}") return module;
        }
    }
    throw std::runtime_error("no compiled kernel " + wanted + "… in " ESPECTRA_PTX_FOLDER "/" + architecture);
}

/// A fault that is planted in a launch. By default, none.
struct Planted {
    std::string pattern = {};         ///< in the first line of the text that matches it,
    bool everywhere = false;          ///< or in all of them,
    std::string replacement = {};     ///< this takes its place
    std::string declaration = {};     ///< a line that is added to those of the registers
    std::ptrdiff_t shared_bytes = 0;  ///< added to those of the launch, and so on
    int threads = 0;
    std::ptrdiff_t blocks = 0, parameter_bytes = 0;
};

class PlantedFaults : public MemoryFixture, public testing::WithParamInterface<const char*> {
  protected:
    /// Returns an array of the device with these values; only the first `initialized` are copied to it, and
    /// it has room for `extra` more.
    template <class T>
    T* array(const std::vector<T>& values, std::ptrdiff_t initialized = -1, std::ptrdiff_t extra = 0) {
        const std::size_t count = initialized < 0 ? values.size() : static_cast<std::size_t>(initialized);
        auto* const address =
            static_cast<T*>(device.allocate((values.size() + static_cast<std::size_t>(extra)) * sizeof(T)));
        device.copy(address, values.data(), count * sizeof(T), call);
        return address;
    }
    template <class T>
    std::vector<T> fetch(const T* address, std::size_t count) {
        std::vector<T> values(count);
        EXPECT_TRUE(device.copy(values.data(), address, count * sizeof(T), call));
        return values;
    }

    template <class K>
    void run(const K& arguments, const Planted& planted = {}) {
        std::vector<std::string> lines = module_of<K>(GetParam());
        if (!planted.pattern.empty()) {
            const std::regex pattern(planted.pattern);
            bool edited = false;
            for (std::string& line : lines) {
                if ((edited && !planted.everywhere) || !std::regex_search(line, pattern)) continue;
                line = std::regex_replace(line, pattern, planted.replacement);
                edited = true;
            }
            ASSERT_TRUE(edited) << "nothing to edit";
        }
        std::string text;
        for (const std::string& line : lines) {
            text += line + '\n';
            if (line == "{") text += planted.declaration + '\n';
        }
        Kernel kernel(parse_module(text, std::string(GetParam()) + ".ptx").at(0));
        name = kernel.program().name;
        Launch launch;
        launch.blocks = arguments.blocks() + planted.blocks;
        launch.threads = K::threads + planted.threads;
        launch.shared_bytes = static_cast<std::size_t>(
            static_cast<std::ptrdiff_t>(arguments.shared_doubles() * sizeof(double)) + planted.shared_bytes);
        launch.parameters = {reinterpret_cast<const std::byte*>(&arguments),
                             static_cast<std::size_t>(std::ssize(std::as_bytes(std::span(&arguments, 1))) +
                                                      planted.parameter_bytes)};
        kernel.execute(launch, device, findings);
    }

    /// Expects that this fault of the kernel has been found.
    void expect(Fault fault) {
        bool found = false;
        std::string all;
        for (const auto& [finding, times] : findings.all()) {
            all += to_string(finding) + '\n';
            found |= finding.fault == fault && finding.place.kernel == name && !finding.detail.empty();
        }
        EXPECT_TRUE(found) << "not found: " << name_of(fault) << " in " << name << "; found:\n" << all;
    }
    std::string name;  ///< of the kernel that has been run
};

/// Symmetric matrices of which the upper triangles are given.
class PlantedInSymmetrize : public PlantedFaults {
  protected:
    static constexpr Index replicas = 2, n = 64, size = replicas * n * n;

    void symmetrize(const Planted& planted = {}, Index initialized = size, Index extra = 0) {
        std::vector<double> values;
        for (Index i = 0; i < size; ++i) values.push_back(static_cast<double>(i));
        matrices = make_view<on_device>(array(values, initialized, extra), replicas, n, n);
        run(kernel(), planted);
    }
    group::SymmetrizeKernel<on_device> kernel() const { return {matrices}; }
    bool symmetric() {
        const std::vector<double> values = fetch(matrices.data, size);
        const auto view = make_view(values.data(), replicas, n, n);
        bool yes = true;
        for (Index r = 0; r < replicas; ++r)
            for (Index i = 0; i < n; ++i)
                for (Index j = 0; j < n; ++j)
                    yes &=
                        view(r, i, j) == static_cast<double>((r * n + std::min(i, j)) * n + std::max(i, j));
        return yes;
    }

    View<double, 3, on_device> matrices;
};

/// The positions of nonzero values, in lists.
class PlantedInList : public PlantedFaults {
  protected:
    static constexpr Index lists = 2, n = 300;

    std::vector<Index> list(const Planted& planted = {}) {
        std::vector<double> values(lists * n);
        for (std::size_t i = 0; i < values.size(); i += 3) values[i] = 1;
        const auto signs = make_view<on_device>(array(values), lists, n);
        const auto positions = make_view<on_device>(array(std::vector<Index>(lists * n, -1)), lists, n);
        const auto count = make_view<on_device>(array(std::vector<Index>(lists)), lists);
        run(group::ListKernel<group::Nonzero<on_device>, on_device>{{signs}, positions, count}, planted);
        return fetch(positions.data, lists * n);
    }
};

/// A linear layer, by products on tensor cores.
class PlantedInProduct : public PlantedFaults {
  protected:
    static constexpr Index units = 20, inputs = 24, examples = 70;
    using Kernel = group::ProductKernel<group::TensorCore, group::ForwardProduct<on_device>>;

    /// Returns the largest error of the outputs.
    double forward(const Planted& planted = {}) {
        std::vector<double> weights, bias(units, 0.5), input;
        for (Index i = 0; i < units * inputs; ++i) weights.push_back(static_cast<double>(i * 7 % 11 - 5));
        for (Index i = 0; i < inputs * examples; ++i) input.push_back(static_cast<double>(i * 5 % 13 - 6));
        DenseForward<on_device> a;
        a.activation = Activation::linear;
        a.weights = make_view<on_device>(const_cast<const double*>(array(weights)), 1, units, inputs);
        a.bias = make_view<on_device>(const_cast<const double*>(array(bias)), 1, units);
        a.input = make_view<on_device>(const_cast<const double*>(array(input)), 1, inputs, examples);
        a.output = make_view<on_device>(array(std::vector<double>(units * examples)), 1, units, examples);
        run(Kernel{{a}}, planted);
        const std::vector<double> output = fetch(a.output.data, units * examples);
        double error = 0;
        for (Index i = 0; i < units; ++i)
            for (Index e = 0; e < examples; ++e) {
                double sum = 0.5;
                for (Index k = 0; k < inputs; ++k)
                    sum += weights[static_cast<std::size_t>(i * inputs + k)] *
                           input[static_cast<std::size_t>(k * examples + e)];
                error = std::max(error, std::abs(output[static_cast<std::size_t>(i * examples + e)] - sum));
            }
        return error;
    }
};

}  // namespace

TEST_P(PlantedInSymmetrize, NothingIsFoundInTheKernelItself) {
    symmetrize();
    expect_none();
    EXPECT_TRUE(symmetric());
    expect_none();
}

TEST_P(PlantedInSymmetrize, MissingBarrier) {
    symmetrize({.pattern = "bar\\.sync.*;"});
    expect(Fault::race);
}

TEST_P(PlantedInSymmetrize, IndexOfTheThreadInPlaceOfTheBlock) {
    symmetrize({.pattern = "%ctaid\\.x", .replacement = "%tid.x"});
    expect(Fault::out_of_bounds);
}

/// The neighbours of the elements are taken, which every check allows: only the result is wrong.
TEST_P(PlantedInSymmetrize, IndexTooLargeByOne) {
    symmetrize(
        {.pattern = "(ld\\.shared\\.f64.*\\[%r[0-9]+)\\]", .everywhere = true, .replacement = "$1+8]"});
    EXPECT_FALSE(symmetric());
}

TEST_P(PlantedInSymmetrize, SharedMemoryTooShort) {
    // The last row of a square has one element of padding.
    symmetrize({.shared_bytes = -16});
    expect(Fault::out_of_bounds);
}

TEST_P(PlantedInSymmetrize, ArrayTooShort) {
    // Without the last element of the diagonal, which is not used, and the one before it.
    symmetrize({}, size - 2, -2);
    expect(Fault::out_of_bounds);
}

TEST_P(PlantedInSymmetrize, ElementNotInitialized) {
    // The last element above the diagonal is missing.
    symmetrize({}, size - n - 1);
    expect(Fault::uninitialized_memory);
}

TEST_P(PlantedInSymmetrize, ArrayFreedBeforeTheLaunch) {
    symmetrize();
    device.release(matrices.data, call);
    run(kernel());
    expect(Fault::freed_memory);
}

TEST_P(PlantedInSymmetrize, RegisterNotAssigned) {
    symmetrize({.pattern = "mov\\.u32.*%tid\\.x;"});
    expect(Fault::uninitialized_register);
}

TEST_P(PlantedInSymmetrize, BarrierInABranch) {
    symmetrize({.pattern = "bar\\.sync.*;",
                .replacement = "mov.u32 %planted_r, %tid.x;\nsetp.gt.s32 %planted_p, %planted_r, 63;\n"
                               "@%planted_p bra $$L_planted;\nbar.sync 0;\n$$L_planted:\nbar.sync 0;",
                .declaration = ".reg .pred %planted_p;\n.reg .b32 %planted_r;"});
    expect(Fault::divergent_barrier);
}

TEST_P(PlantedInSymmetrize, DivisionByZero) {
    matrices = make_view<on_device>(array(std::vector<double>(1)), 1, 0, 0);
    run(kernel(), {.blocks = 1});
    expect(Fault::division_by_zero);
}

TEST_P(PlantedInSymmetrize, ParametersTooShort) {
    symmetrize({.parameter_bytes = -8});
    EXPECT_GT(findings.count(Fault::parameter) + findings.count(Fault::invalid_launch), 0u);
}

TEST_P(PlantedInSymmetrize, MoreThreadsThanCompiledFor) {
    symmetrize({.threads = 32});
    expect(Fault::invalid_launch);
}

/// All replicas are one matrix: their blocks write equal values to it.
TEST_P(PlantedInSymmetrize, BlocksThatWriteTheSameElements) {
    symmetrize();
    expect_none();
    matrices.stride[0] = 0;
    run(kernel());
    expect(Fault::race);
}

TEST_P(PlantedInList, NothingIsFoundInTheKernelItself) {
    const std::vector<Index> positions = list();
    expect_none();
    EXPECT_EQ(positions[0], 0);
    EXPECT_EQ(positions[99], 297);
    EXPECT_EQ(positions[100], -1);
}

/// Flags of 4 bytes are written, and read in vectors of 16 bytes.
TEST_P(PlantedInList, RaceOfDifferentSizes) {
    // The first barrier in the text may be that between two parts of a list.
    list({.pattern = "bar\\.sync.*;"});
    expect(Fault::race);
}

TEST_P(PlantedInList, MisalignedVector) {
    list({.pattern = "(ld\\.shared\\.v4\\.u32.*\\[%r[0-9]+)[^\\]]*\\]", .replacement = "$1+4]"});
    expect(Fault::misaligned);
}

TEST_P(PlantedInProduct, NothingIsFoundInTheKernelItself) {
    EXPECT_EQ(forward(), 0.0);
    expect_none();
}

TEST_P(PlantedInProduct, SwappedFragmentsOfA) {
    EXPECT_GT(forward({.pattern = "(mma\\.sync.*\\}.*)\\{(%fd[0-9]+), *(%fd[0-9]+)\\}(.*\\{)",
                       .replacement = "$1{$3,$2}$4"}),
              0.5);
}

TEST_P(PlantedInProduct, SubtractionInPlaceOfAnAddition) {
    EXPECT_GT(forward({.pattern = "add\\.rn\\.f64", .everywhere = true, .replacement = "sub.rn.f64"}), 0.5);
}

TEST_P(PlantedInProduct, IncompleteWarp) {
    forward({.threads = -16});
    expect(Fault::incomplete_warp);
}

INSTANTIATE_TEST_SUITE_P(Architectures, PlantedInSymmetrize, testing::Values("90", "120"));
INSTANTIATE_TEST_SUITE_P(Architectures, PlantedInList, testing::Values("90", "120"));
INSTANTIATE_TEST_SUITE_P(Architectures, PlantedInProduct, testing::Values("90", "120"));

}  // namespace espectra::ptx
