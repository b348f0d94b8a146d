#pragma once

#include "support/demangled.hpp"
#include <string>
#include <typeinfo>

namespace espectra::ptx {

/// Returns the name of the call of Thrust that makes the lists of a kernel.
template <class K>
std::string listed_call() {
    return std::string("thrust::exclusive_scan_by_key: ") + K::name + " of " +
           test::demangled(typeid(decltype(K::marked)).name());
}

}  // namespace espectra::ptx
