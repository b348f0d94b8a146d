// Leaves out every bar.sync of the compiled FusedSpectrumKernel in turn: each is needed, which shows as a
// race. The kernel is launched without a runtime; its only parameter is the kernel object.
// ESPECTRA_PTX_FOLDER has a folder of PTX files for each architecture.

#include "espectra/kernels/group/fused_spectrum.hpp"

#include <gtest/gtest.h>

#include "ptx/execution/kernel.hpp"
#include "support/network_cases.hpp"
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace espectra::ptx {

namespace {

using espectra::test::make_case;
using espectra::test::NetworkCase;

constexpr Index replicas = 2;
const Place call{"test", 0, ""};

/// Inputs and results of the kernel: traces, norms and residuals, then eigenvalues.
struct Arrays {
    std::vector<double> features, targets, signs, theta, gradient, results;
    std::vector<unsigned char> nonzero_rows;
};

Arrays arrays_of(const NetworkCase& c, Index directions) {
    const auto p = static_cast<std::size_t>(c.network.parameters());
    Arrays a{c.features, c.targets, {}, c.flat_theta(), {}, {}, {}};
    for (std::size_t i = 0; i < static_cast<std::size_t>(directions) * p; ++i)
        a.signs.push_back(static_cast<double>(i % 3) - 1);
    for (std::size_t i = 0; i < replicas * p; ++i) a.gradient.push_back(0.01 * static_cast<double>(i % 7));
    a.results.assign(replicas * (3 + p), 0.0);
    a.nonzero_rows.assign(replicas * p, 0);
    return a;
}

/// Returns the kernel for arrays at these addresses.
group::FusedSpectrumKernel<espectra::Space::host> kernel_of(const NetworkCase& c, Index examples,
                                                            Index directions,
                                                            const double* const (&inputs)[5], double* results,
                                                            unsigned char* nonzero_rows) {
    const Index p = c.network.parameters();
    return group::fused_spectrum_kernel(
        FusedSpectrum<espectra::Space::host>{.network = c.network.view(),
                                             .full = true,
                                             .features = make_view(inputs[0], c.network.inputs(), examples),
                                             .targets = make_view(inputs[1], c.network.outputs(), examples),
                                             .signs = make_view(inputs[2], directions, p),
                                             .theta = make_view(inputs[3], replicas, p),
                                             .gradient = make_view(inputs[4], replicas, p),
                                             .trace = make_view(results, replicas),
                                             .frobenius = make_view(results + replicas, replicas),
                                             .residual = make_view(results + 2 * replicas, replicas),
                                             .nonzero_row = make_view(nonzero_rows, replicas, p),
                                             .eigenvalues = make_view(results + 3 * replicas, replicas, p)});
}

std::vector<double> on_the_cpu(const NetworkCase& c, Index examples, Index directions) {
    Arrays a = arrays_of(c, directions);
    const auto kernel =
        kernel_of(c, examples, directions,
                  {a.features.data(), a.targets.data(), a.signs.data(), a.theta.data(), a.gradient.data()},
                  a.results.data(), a.nonzero_rows.data());
    std::vector<double> shared(kernel.shared_doubles());
    for (Index block = 0; block < kernel.blocks(); ++block) kernel(SerialGroup{}, block, shared.data());
    return a.results;
}

std::vector<double> interpreted(Kernel& compiled, const NetworkCase& c, Index examples, Index directions,
                                std::int64_t dropped, Findings& findings) {
    Arrays a = arrays_of(c, directions);
    DeviceMemory memory(findings);
    const auto upload = [&](const auto& values) {
        const std::size_t bytes = values.size() * sizeof values[0];
        void* address = memory.allocate(bytes);
        if (bytes > 0) memory.copy(address, values.data(), bytes, call);
        return address;
    };
    const double* inputs[5];
    int next = 0;
    for (const auto* values : {&a.features, &a.targets, &a.signs, &a.theta, &a.gradient})
        inputs[next++] = static_cast<const double*>(upload(*values));
    auto* results = static_cast<double*>(upload(a.results));
    auto* nonzero_rows = static_cast<unsigned char*>(upload(a.nonzero_rows));
    const auto kernel = kernel_of(c, examples, directions, inputs, results, nonzero_rows);
    std::vector<std::byte> parameters(sizeof kernel);
    std::memcpy(parameters.data(), &kernel, sizeof kernel);
    compiled.execute({.blocks = kernel.blocks(),
                      .threads = kernel.threads,
                      .shared_bytes = kernel.shared_doubles() * sizeof(double),
                      .parameters = parameters,
                      .dropped_barrier = dropped},
                     memory, findings);
    memory.copy(a.results.data(), results, a.results.size() * sizeof(double), call);
    return a.results;
}

struct Launched {
    NetworkCase network;
    Index examples, directions;
};

/// Networks that need every barrier between them: one to four layers, β trained or not, a sum over outputs,
/// chunks of different sizes, scaling directions or none.
std::vector<Launched> launches() {
    using enum Activation;
    const auto make = [](const NetworkShape& shape, Index examples, Index directions) {
        return Launched{make_case(shape, examples, replicas), examples, directions};
    };
    return {make({{3, 4, 2}, {esp}, false, 2.5, Loss::softmax_cross_entropy}, 45, 2),
            make({{2, 3, 2, 2, 3}, {esp, softplus, tanh}, true, 1.0, Loss::softmax_cross_entropy}, 45, 2),
            make({{2, 3, 2, 2, 3}, {gelu, elu, leaky_relu}, true, 1.0, Loss::softmax_cross_entropy}, 45, 0),
            make({{2, 10, 1}, {esp}, true, 1.0, Loss::sigmoid_cross_entropy}, 45, 1)};
}

std::vector<Program> programs() {
    std::vector<Program> found;
    for (const auto& folder : std::filesystem::directory_iterator(ESPECTRA_PTX_FOLDER)) {
        const std::filesystem::path path = folder.path() / "fused_spectrum.ptx";
        std::stringstream text;
        text << std::ifstream(path).rdbuf();
        for (Program& program : parse_module(text.str(), path.string())) found.push_back(std::move(program));
    }
    return found;
}

}  // namespace

TEST(Barriers, OfTheFusedSpectrumAreNeeded) {
    std::vector<Program> compiled = programs();
    ASSERT_FALSE(compiled.empty()) << "no PTX in " ESPECTRA_PTX_FOLDER;
    for (Program& program : compiled) {
        SCOPED_TRACE(program.file);
        Kernel kernel(std::move(program));
        const std::vector<int>& barriers = kernel.program().barriers;
        std::vector<bool> needed(barriers.size());
        for (const Launched& launched : launches()) {
            const auto run = [&](std::int64_t dropped, Findings& findings) {
                return interpreted(kernel, launched.network, launched.examples, launched.directions, dropped,
                                   findings);
            };
            Findings none;
            const std::vector<double> results = run(-1, none);
            EXPECT_EQ(none.count(), 0u) << ::testing::PrintToString(none.lines());
            const std::vector<double> expected =
                on_the_cpu(launched.network, launched.examples, launched.directions);
            EXPECT_EQ(std::memcmp(results.data(), expected.data(), results.size() * sizeof(double)), 0)
                << "other bits than on the CPU";
            for (std::size_t i = 0; i < barriers.size(); ++i) {
                if (needed[i]) continue;
                Findings findings;
                run(static_cast<std::int64_t>(i), findings);
                needed[i] = findings.count(Fault::race) > 0;
            }
        }
        for (std::size_t i = 0; i < barriers.size(); ++i)
            EXPECT_TRUE(needed[i])
                << "nothing shows that the barrier in line "
                << kernel.program().instructions[static_cast<std::size_t>(barriers[i])].line << " is needed";
    }
}

}  // namespace espectra::ptx
