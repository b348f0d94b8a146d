#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace espectra::test {

/// Skips a test that needs a CUDA device, or fails it with ESPECTRA_REQUIRE_GPU=1. `problem`: why there is
/// none. The last statement of SetUp().
inline void skip_without_device(const std::string& problem) {
    const char* required = std::getenv("ESPECTRA_REQUIRE_GPU");
    if (required && std::string(required) != "0") FAIL() << problem << ", and ESPECTRA_REQUIRE_GPU is set";
    GTEST_SKIP() << problem;
}

}  // namespace espectra::test
