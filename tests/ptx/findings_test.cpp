// Tests of the list of findings, and of how a process with findings ends.

#include "ptx/checks/findings.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace espectra::ptx {

namespace {

Finding race_at(int line) {
    return {Fault::race,    {"TileKernel<8>", line, "st.global.f64 [%rd1], %fd2;"}, 3, 17, 0x1000,
            "writes byte 0"};
}

}  // namespace

TEST(FindingsTest, KeepsEachPlaceAndFaultOnce) {
    std::vector<std::string> heard;
    Findings findings([&](const Finding& finding) { heard.push_back(to_string(finding)); });
    for (int i = 0; i < 3; ++i) findings.add(race_at(12));
    Finding other = race_at(12);
    other.fault = Fault::misaligned;
    findings.add(other, 5);
    findings.add(race_at(13));
    EXPECT_EQ(findings.count(), 3u);
    EXPECT_EQ(findings.count(Fault::race), 2u);
    EXPECT_EQ(findings.count(Fault::leak), 0u);
    EXPECT_EQ(findings.all()[0].second, 3u);
    EXPECT_EQ(findings.all()[1].second, 5u);
    const std::string line =
        "race: TileKernel<8>, line 12: st.global.f64 [%rd1], %fd2;, block 3, thread 17: writes byte 0 "
        "(address 0x1000)";
    EXPECT_EQ(findings.lines()[0], line + " (3 times)");
    ASSERT_EQ(heard.size(), 3u);
    EXPECT_EQ(heard[0], line);
    findings.clear();
    EXPECT_EQ(findings.count(), 0u);
    findings.add(race_at(12));
    EXPECT_EQ(findings.count(), 1u);
}

TEST(FindingsTest, KeepsALimitedNumberOfPlaces) {
    Findings findings;
    for (int line = 1; line <= 3000; ++line) findings.add(race_at(line));
    EXPECT_EQ(findings.count(), Findings::most_places);
    EXPECT_EQ(findings.all().back().second, 3001 - Findings::most_places);
    EXPECT_EQ(findings.all().front().second, 1u);
}

TEST(FindingsTest, CountsThoseOfAllThreads) {
    Findings findings;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) findings.add(race_at(i % 10));
        });
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(findings.count(), 10u);
    for (const auto& [finding, times] : findings.all()) EXPECT_EQ(times, 400u);
}

TEST(FindingsDeathTest, AProcessWithFindingsFails) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            process_findings([] { process_findings().add(race_at(7)); }).add(race_at(12));
            std::exit(0);
        },
        testing::ExitedWithCode(findings_exit_status),
        "ptx: 2 findings:\nptx:   race: TileKernel<8>, line 12.*\nptx:   race: TileKernel<8>, line 7");
    EXPECT_EXIT(
        {
            process_findings();
            std::exit(0);
        },
        testing::ExitedWithCode(0), "");
}

}  // namespace espectra::ptx
