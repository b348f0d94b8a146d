// What the command says about repeated eigensolves.

#include "espectra/experiments/app/outcome_text.hpp"

#include "espectra/experiments/app/outcome_json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace espectra {
namespace {

/// The outcome of a run of two networks, the second of which had this many repeated eigensolves.
RunOutcome outcome_with(double solved_again) {
    RunOutcome outcome;
    outcome.spectra = 12;
    outcome.summary.resize(2);
    outcome.summary[1].values["solved_again"] = solved_again;
    return outcome;
}

TEST(OutcomeText, SaysHowManyEigensolvesWereRepeated) {
    EXPECT_EQ(outcome_text(outcome_with(0)).find("solved again"), std::string::npos);
    EXPECT_NE(
        outcome_text(outcome_with(1))
            .find("\n1 eigensolve violated the certificate in a batch and was solved again by itself\n"),
        std::string::npos)
        << outcome_text(outcome_with(1));
    EXPECT_NE(
        outcome_text(outcome_with(3))
            .find(
                "\n3 eigensolves violated the certificate in a batch and were solved again by themselves\n"),
        std::string::npos);
}

TEST(OutcomeJson, HasTheNumberOfEachNetwork) {
    const auto json = outcome_json(outcome_with(3), {}, "CPU");
    EXPECT_EQ(json.at("networks").at(0).at("solved_again"), 0);
    EXPECT_EQ(json.at("networks").at(1).at("solved_again"), 3);
}

}  // namespace
}  // namespace espectra
