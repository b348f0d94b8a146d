#include "ptx/runtime/options.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace espectra::ptx {

namespace {

constexpr std::size_t kb = 1024, mb = 1024 * kb;

// A100, H100, B200 and RTX 5090, by table "Technical specifications per compute capability" of the CUDA
// programming guide and by their data sheets.
constexpr DeviceModel devices[] = {
    {"8.0", 8, 0, "80", 108, 2048, 164 * kb, 163 * kb, 40 * mb},
    {"9.0", 9, 0, "90", 132, 2048, 228 * kb, 227 * kb, 50 * mb},
    {"10.0", 10, 0, "100", 148, 2048, 228 * kb, 227 * kb, 126 * mb},
    {"12.0", 12, 0, "120", 170, 1536, 100 * kb, 99 * kb, 96 * mb},
};

[[noreturn]] void refuse(const char* variable, std::string_view value, const char* expected) {
    std::fprintf(stderr, "%s=%.*s: expected %s\n", variable, static_cast<int>(value.size()), value.data(),
                 expected);
    std::_Exit(EXIT_FAILURE);
}

std::string_view environment(const char* variable, std::string_view otherwise) {
    const char* value = std::getenv(variable);
    return value ? value : otherwise;
}

const DeviceModel* chosen_device() {
    constexpr const char* variable = "ESPECTRA_EMULATED_DEVICE";
    const std::string_view value = environment(variable, "9.0");
    for (const DeviceModel& device : devices)
        if (device.capability == value) return &device;
    refuse(variable, value, "8.0, 9.0, 10.0 or 12.0");
}

BlockOrder chosen_blocks() {
    constexpr const char* variable = "ESPECTRA_EMULATED_ORDER";
    const std::string_view value = environment(variable, "ascending");
    for (const auto& [name, order] :
         {std::pair{"ascending", BlockOrder::ascending}, std::pair{"descending", BlockOrder::descending},
          std::pair{"shuffled", BlockOrder::shuffled}})
        if (name == value) return order;
    refuse(variable, value, "ascending, descending or shuffled");
}

StreamOrder chosen_streams() {
    constexpr const char* variable = "ESPECTRA_EMULATED_STREAMS";
    const std::string_view value = environment(variable, "late");
    if (value == "late") return StreamOrder::late;
    if (value == "others-first") return StreamOrder::others_first;
    refuse(variable, value, "late or others-first");
}

}  // namespace

const Options& options() {
    // Never destroyed: the end of the process asks for them.
    static const Options& chosen =
        *new const Options{chosen_device(), chosen_blocks(), chosen_streams(),
                           environment("ESPECTRA_PTX", ""), environment("ESPECTRA_EMULATED_LAUNCHES", "")};
    return chosen;
}

}  // namespace espectra::ptx
