#pragma once

#include <initializer_list>

namespace espectra {

/// Returns the position of an environment variable's value among those allowed, or −1 if it is not set or
/// empty. Throws InputError that names the variable, its value and those allowed.
int switch_value(const char* variable, std::initializer_list<const char*> allowed);

}  // namespace espectra
