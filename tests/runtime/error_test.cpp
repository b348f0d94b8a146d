// Errors, statuses and the timer.

#include "espectra/runtime/error.hpp"

#include "espectra/runtime/timer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace espectra {
namespace {

TEST(Error, KindsAreExitStatusesAndSayWhere) {
    const InputError input("bad");
    const unsigned line = __LINE__ - 1;
    EXPECT_EQ(input.exit_status(), 2);
    EXPECT_EQ(NumericalError("bad").exit_status(), 3);
    EXPECT_EQ(ResourceError("bad").exit_status(), 4);
    EXPECT_EQ(NumericalError("bad").kind(), ErrorKind::numerical);
    EXPECT_EQ(input.where().line(), line);
    EXPECT_NE(std::string(input.where().file_name()).find("error_test.cpp"), std::string::npos);
    EXPECT_STREQ(input.what(), "bad");
}

TEST(Error, RequireEqualHasTheNumbers) {
    EXPECT_NO_THROW(require_equal("rows", 3, 3));
    try {
        require_equal("weights, units", 25, 24);
        FAIL();
    } catch (const InputError& error) {
        EXPECT_STREQ(error.what(), "weights, units: expected 25, got 24");
        EXPECT_NE(std::string(error.where().file_name()).find("error_test.cpp"), std::string::npos);
    }
}

TEST(Error, LapackStatuses) {
    EXPECT_NO_THROW(check_lapack("dsyevd", 0));
    for (const auto& [info, text] : {std::pair{-4, "dsyevd: argument 4 has an illegal value"},
                                     {7, "dsyevd did not converge (info = 7)"}}) {
        try {
            check_lapack("dsyevd", info);
            ADD_FAILURE() << info;
        } catch (const NumericalError& error) {
            EXPECT_STREQ(error.what(), text);
        }
    }
}

TEST(Timer, CountsSeconds) {
    Timer timer;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_GE(timer.seconds(), 0.020);
    EXPECT_LT(timer.seconds(), 20);
    timer.restart();
    EXPECT_LT(timer.seconds(), 0.020 + 1);
}

}  // namespace
}  // namespace espectra
