#pragma once

#include <string>
#include <vector>

namespace espectra::ptx::test {

// Forms that need a kernel of their own each, as of shape_of().

std::vector<std::string> control_flow_shapes();
std::vector<std::string> matrix_shapes();

}  // namespace espectra::ptx::test
