// The exit status of espectra cuda-facts, from the facts alone.

#include "espectra/experiments/benchmarks/facts/facts.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace espectra {
namespace {

const Json good = {{"device", {{"name", "H100"}}},
                   {"single", {{{"n", 1024}, {"certified", true}}, {{"n", 65536}, {"skipped", "memory"}}}},
                   {"seconds", 3.5}};

TEST(CudaFacts, SucceedWithoutErrors) {
    EXPECT_EQ(errors_in(good), std::vector<std::string>{});
    EXPECT_TRUE(certified(good));
    EXPECT_EQ(exit_status(good), 0);
}

TEST(CudaFacts, FailWhereAnyPartHasAnError) {
    Json one = good;
    one["ceilings"] = {{"error", "cuBLAS: not initialized"}};
    EXPECT_EQ(errors_in(one), std::vector<std::string>{"ceilings: cuBLAS: not initialized"});
    EXPECT_EQ(exit_status(one), 4);
    Json inner = good;
    inner["single"][1] = {{"n", 65536}, {"error", "out of memory"}};
    EXPECT_EQ(errors_in(inner), std::vector<std::string>{"single: 1: out of memory"});
    EXPECT_EQ(exit_status(inner), 4);
    Json all = good;
    all["single"] = {{"error", "no device"}};
    EXPECT_TRUE(certified(all));
    EXPECT_EQ(exit_status(all), 4);
}

TEST(CudaFacts, FailWhereACertificateIsViolated) {
    Json wrong = good;
    wrong["single"][0]["certified"] = false;
    EXPECT_FALSE(certified(wrong));
    EXPECT_EQ(exit_status(wrong), 3);
}

}  // namespace
}  // namespace espectra
