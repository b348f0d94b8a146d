#include "ptx/runtime/options.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace espectra::ptx {

namespace {

constexpr std::size_t kb = 1024, mb = 1024 * kb;

// A100, H100, B200 and RTX 5090, by table "Technical specifications per compute capability" of the CUDA
// programming guide and by their data sheets.
constexpr DeviceModel devices[] = {
    {"8.0", 8, 0, "80", 108, 2048, 164 * kb, 163 * kb, 40 * mb, 32},
    {"9.0", 9, 0, "90", 132, 2048, 228 * kb, 227 * kb, 50 * mb, 32},
    {"10.0", 10, 0, "100", 148, 2048, 228 * kb, 227 * kb, 126 * mb, 32},
    {"12.0", 12, 0, "120", 170, 1536, 100 * kb, 99 * kb, 96 * mb, 24},
};

/// Returns the value that an environment variable names, or the one of `otherwise` if it is not set.
template <class T>
T chosen(const char* variable, std::string_view otherwise,
         const std::vector<std::pair<std::string_view, T>>& values) {
    const char* set = std::getenv(variable);
    const std::string_view name = set ? set : otherwise;
    std::string known;
    for (const auto& [value_name, value] : values) {
        if (value_name == name) return value;
        known.append(known.empty() ? "" : ", ").append(value_name);
    }
    std::fprintf(stderr, "%s=%s: expected one of %s\n", variable, set, known.c_str());
    std::_Exit(EXIT_FAILURE);
}

const DeviceModel* chosen_device() {
    std::vector<std::pair<std::string_view, const DeviceModel*>> models;
    for (const DeviceModel& device : devices) models.emplace_back(device.capability, &device);
    return chosen("ESPECTRA_EMULATED_DEVICE", "9.0", models);
}

std::size_t bytes(const char* variable, std::size_t otherwise) {
    const char* set = std::getenv(variable);
    if (!set) return otherwise;
    const std::string_view text = set;
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
    std::fprintf(stderr, "%s=%s: expected a number of bytes\n", variable, set);
    std::_Exit(EXIT_FAILURE);
}

const char* path(const char* variable) {
    const char* set = std::getenv(variable);
    return set ? set : "";
}

}  // namespace

const Options& options() {
    // Never destroyed: the end of the process asks for them.
    static const Options& all = *new const Options{
        .device = chosen_device(),
        .blocks = chosen<BlockOrder>("ESPECTRA_EMULATED_ORDER", "ascending",
                                     {{"ascending", BlockOrder::ascending},
                                      {"descending", BlockOrder::descending},
                                      {"shuffled", BlockOrder::shuffled}}),
        .streams =
            chosen<StreamOrder>("ESPECTRA_EMULATED_STREAMS", "late",
                                {{"late", StreamOrder::late}, {"others-first", StreamOrder::others_first}}),
        .memory = bytes("ESPECTRA_EMULATED_MEMORY", std::size_t{1} << 36),
        .batched_solver =
            chosen<BatchedSolver>("ESPECTRA_EMULATED_BATCHED_SOLVER", "right",
                                  {{"right", BatchedSolver::right}, {"wrong", BatchedSolver::wrong}}),
        .ptx = path("ESPECTRA_PTX"),
        .leave_out_barriers =
            chosen<bool>("ESPECTRA_EMULATED_BARRIERS", "kept", {{"kept", false}, {"left-out", true}}),
        .launches = path("ESPECTRA_EMULATED_LAUNCHES")};
    return all;
}

}  // namespace espectra::ptx
