#pragma once

#include <gtest/gtest.h>

#include "ptx/memory/device_memory.hpp"
#include <string>
#include <utility>

namespace espectra::ptx {

/// A device, with the findings about its memory.
class MemoryFixture : public testing::Test {
  protected:
    /// `place`: the kernel or call that the findings of the test name.
    explicit MemoryFixture(std::string place = "call") : place_(std::move(place)) {}

    /// Expects one finding since the last call, of this fault, with this text in its detail.
    void expect_one(Fault fault, const std::string& text) {
        const auto all = findings.all();
        ASSERT_EQ(all.size(), 1u) << (all.empty() ? "" : to_string(all.back().first));
        EXPECT_EQ(all[0].first.fault, fault) << to_string(all[0].first);
        EXPECT_EQ(all[0].first.place.kernel, place_);
        EXPECT_NE(all[0].first.detail.find(text), std::string::npos) << to_string(all[0].first);
        findings.clear();
    }
    void expect_none() {
        for (const std::string& line : findings.lines()) ADD_FAILURE() << line;
        findings.clear();
    }

    const Place call{"call"};
    Findings findings;
    DeviceMemory device{findings};

  private:
    std::string place_;
};

}  // namespace espectra::ptx
