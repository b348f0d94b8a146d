#include "espectra/runtime/cuda/switches.hpp"

#include "espectra/runtime/error.hpp"

#include <cstdlib>
#include <string>
#include <string_view>

namespace espectra {

int switch_value(const char* variable, std::initializer_list<const char*> allowed) {
    const char* set = std::getenv(variable);
    const std::string_view value = set ? set : "";
    if (value.empty()) return -1;
    std::string expected;
    int position = 0;
    for (const char* word : allowed) {
        if (value == word) return position;
        expected += (position++ == 0 ? "" : " or ") + std::string(word);
    }
    throw InputError(std::string(variable) + "=" + std::string(value) + ": expected " + expected);
}

}  // namespace espectra
