#include "espectra/kernels/names.hpp"

namespace espectra {

std::string folded_name(std::string_view name) {
    std::string folded;
    for (const char c : name)
        if (c != ' ' && c != '-' && c != '_')
            folded += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return folded;
}

}  // namespace espectra
