// The order of a run's work, without threads, clock or files: the test plays the workers.

#include "espectra/experiments/run/scheduler.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace espectra {
namespace {

/// A network of 2-3-1 without data, with these snapshots.
PlannedNetwork network_of(Index replicas, std::vector<std::int64_t> epochs,
                          Activation activation = Activation::relu) {
    static const auto data = std::make_shared<const DataSet>();
    Recipe recipe;
    recipe.hidden = {3};
    recipe.activations = {activation};
    recipe.replicas = replicas;
    recipe.epochs = epochs.back();
    return {"network", recipe, recipe.network(2, 1), data, std::move(epochs)};
}

/// Plays one worker or several: takes pieces and ends them in any order.
class Play {
  public:
    Play(const RunPlan& plan, const MissingWork& missing) : scheduler(plan, missing) {}

    /// Takes the next piece and describes it: "begin 0 to 0", "train 0 to 1", "analyse 0 at 1: 0 2",
    /// "search 0[2] at 1 as 0"; "wait" or "over" where there is none.
    std::string take() {
        const auto piece = scheduler.next([&](std::size_t kind) { return prepared.contains(kind); });
        if (!piece) return scheduler.over() ? "over" : "wait";
        const std::string text = describe(*piece);
        pieces[text] = *piece;
        return text;
    }

    /// Ends a piece that was taken; `diverged`: rows of its batch that have diverged.
    void end(const std::string& text, const std::vector<std::size_t>& diverged = {}) {
        const WorkPiece piece = pieces.at(text);
        pieces.erase(text);
        if (const auto* training = std::get_if<TrainingPiece>(&piece)) {
            const std::size_t rows = scheduler.batch(training->batch).members.size();
            std::vector<std::int64_t> epochs(rows, -1);
            for (const std::size_t row : diverged) epochs[row] = 7;
            last = scheduler.trained(*training, epochs);
        } else if (const auto* analysis = std::get_if<AnalysisPiece>(&piece)) {
            const auto& members = scheduler.batch(analysis->batch).members;
            for (const Index row : analysis->rows)
                scheduler.recorded(members[static_cast<std::size_t>(row)], analysis->snapshot);
        }
        scheduler.finished(piece);
    }

    /// One worker that does everything; returns what it did.
    std::vector<std::string> alone() {
        std::vector<std::string> all;
        for (std::string text; (text = take()) != "over"; end(text)) all.push_back(text);
        return all;
    }

    static std::string describe(const WorkPiece& piece) {
        if (const auto* training = std::get_if<TrainingPiece>(&piece))
            return fmt::format("{} {} to {}", training->first ? "begin" : "train", training->batch,
                               training->snapshot);
        if (const auto* analysis = std::get_if<AnalysisPiece>(&piece))
            return fmt::format("analyse {} at {}: {}", analysis->batch, analysis->snapshot,
                               fmt::join(analysis->rows, " "));
        const auto& search = std::get<SearchPiece>(piece);
        return fmt::format("search {}[{}] at {} as {}", search.network, search.replica, search.snapshot,
                           search.index);
    }

    Scheduler scheduler;
    std::set<std::size_t> prepared;  // kinds that idle analyzers are made for
    std::map<std::string, WorkPiece> pieces;
    Scheduler::Trained last{};
};

using Texts = std::vector<std::string>;

TEST(Scheduler, OneWorkerTrainsToASnapshotAndAnalysesIt) {
    const RunPlan plan({network_of(1, {0, 5})});
    Play play(plan, MissingWork(plan.networks));
    EXPECT_EQ(play.alone(),
              (Texts{"begin 0 to 0", "analyse 0 at 0: 0", "train 0 to 1", "analyse 0 at 1: 0"}));
}

TEST(Scheduler, BatchesHaveReplicasOfOneKind) {
    // Two networks that differ in their learning rates, and one of another activation.
    std::vector<PlannedNetwork> networks = {network_of(3, {0}), network_of(2, {0}, Activation::tanh),
                                            network_of(2, {0})};
    networks[2].recipe.training.learning_rate = 0.5;
    const RunPlan plan(networks, {.replicas_per_batch = {4, 4, 4}});
    const Scheduler scheduler(plan, MissingWork(networks));
    const auto members = [&](std::size_t batch) {
        std::vector<std::pair<std::size_t, Index>> all;
        for (const auto& [network, replica] : scheduler.batch(batch).members)
            all.emplace_back(network, replica);
        return all;
    };
    using Members = std::vector<std::pair<std::size_t, Index>>;
    EXPECT_EQ(members(0), (Members{{0, 0}, {0, 1}, {0, 2}, {2, 0}}));
    EXPECT_EQ(members(1), (Members{{1, 0}, {1, 1}}));
    EXPECT_EQ(members(2), (Members{{2, 1}}));
    EXPECT_EQ(scheduler.batch(2).kind, 0u);
}

TEST(Scheduler, AsManySnapshotsWaitAsThereAreWorkers) {
    const RunPlan plan({network_of(1, {0, 1, 2, 3})}, {.workers = 2});
    Play play(plan, MissingWork(plan.networks));
    play.end(play.take());
    EXPECT_EQ(play.take(), "train 0 to 1");
    EXPECT_EQ(play.take(), "analyse 0 at 0: 0");  // the only batch is under training
    EXPECT_EQ(play.take(), "wait");
    play.end("train 0 to 1");
    play.end(play.take());
    EXPECT_EQ(play.take(), "analyse 0 at 1: 0");  // two wait
    EXPECT_EQ(play.take(), "train 0 to 3");
}

TEST(Scheduler, ContinuesABatchBeforeItBeginsAnother) {
    const RunPlan plan({network_of(2, {0, 1})}, {.workers = 4, .replicas_per_batch = {1}});
    Play play(plan, MissingWork(plan.networks));
    EXPECT_EQ(play.take(), "begin 0 to 0");
    EXPECT_EQ(play.take(), "begin 1 to 0");
    play.end("begin 0 to 0");
    EXPECT_EQ(play.take(), "train 0 to 1");
    EXPECT_EQ(play.take(), "analyse 0 at 0: 0");
}

TEST(Scheduler, KeepsToTheLimitsOfADevice) {
    const RunPlan plan({network_of(2, {0, 1, 2})},
                       {.workers = 3, .trainings = 1, .analyses = 1, .replicas_per_batch = {1}});
    EXPECT_TRUE(plan.work.separate_analysis());
    Play play(plan, MissingWork(plan.networks));
    EXPECT_EQ(play.take(), "begin 0 to 0");
    EXPECT_EQ(play.take(), "wait");  // no second batch in memory
    play.end("begin 0 to 0");
    play.end(play.take());
    EXPECT_EQ(play.take(), "train 0 to 2");
    EXPECT_EQ(play.take(), "analyse 0 at 0: 0");
    EXPECT_EQ(play.take(), "wait");  // one analysis at a time
    play.end("train 0 to 2");
    EXPECT_TRUE(play.last.ended);
    play.end("analyse 0 at 0: 0");
    EXPECT_EQ(play.take(), "begin 1 to 0");  // two snapshots wait, three may
    EXPECT_EQ(play.take(), "analyse 0 at 1: 0");
}

TEST(Scheduler, PrefersSnapshotsThatAnAnalyzerIsMadeFor) {
    std::vector<PlannedNetwork> networks = {network_of(1, {0}), network_of(1, {0}, Activation::tanh)};
    const RunPlan plan(networks, {.workers = 2});
    Play play(plan, MissingWork(networks));
    play.end(play.take());
    play.end(play.take());
    play.prepared = {1};
    EXPECT_EQ(play.take(), "analyse 1 at 0: 0");
    EXPECT_EQ(play.take(), "analyse 0 at 0: 0");  // the oldest, as none is prepared
}

TEST(Scheduler, ResumesWhatIsMissing) {
    const RunPlan plan({network_of(3, {0, 5, 10})}, {.replicas_per_batch = {3}});
    MissingWork missing(plan.networks);
    for (const Index snapshot : {0, 1, 2}) missing.spectrum_done(0, 1, snapshot);  // all of replica 1
    for (const Index replica : {0, 2}) missing.spectrum_done(0, replica, 0);
    missing.spectrum_done(0, 2, 2);
    EXPECT_EQ(missing.spectra(), 3);
    Play play(plan, missing);
    ASSERT_EQ(play.scheduler.batch(0).members.size(), 2u);
    EXPECT_EQ(play.alone(),
              (Texts{"begin 0 to 1", "analyse 0 at 1: 0 1", "train 0 to 2", "analyse 0 at 2: 0"}));
    MissingWork none(plan.networks);
    for (Index r = 0; r < 3; ++r)
        for (Index e = 0; e < 3; ++e) none.spectrum_done(0, r, e);
    EXPECT_FALSE(none.any());
    EXPECT_TRUE(Scheduler(plan, none).over());
}

TEST(Scheduler, DivergedRowsAreLeftOut) {
    const RunPlan plan({network_of(3, {0, 1, 2})}, {.workers = 1, .replicas_per_batch = {3}});
    Play play(plan, MissingWork(plan.networks));
    play.end(play.take());
    play.end(play.take());
    play.end(play.take(), {1});
    EXPECT_EQ(play.last.diverged, std::vector<std::size_t>{1});
    EXPECT_TRUE(play.scheduler.diverged(0, 1));
    EXPECT_EQ(play.take(), "analyse 0 at 1: 0 2");
    play.end("analyse 0 at 1: 0 2");
    play.end(play.take(), {0, 1, 2});
    EXPECT_EQ(play.last.diverged, (std::vector<std::size_t>{0, 2}));  // those that are new
    EXPECT_FALSE(play.last.analysed);
    EXPECT_TRUE(play.last.ended);
    EXPECT_EQ(play.take(), "over");
}

TEST(Scheduler, BeginsNothingAfterAStop) {
    const RunPlan plan({network_of(2, {0, 1})}, {.workers = 2, .replicas_per_batch = {1}});
    Play play(plan, MissingWork(plan.networks));
    EXPECT_EQ(play.take(), "begin 0 to 0");
    play.scheduler.stop();
    EXPECT_TRUE(play.scheduler.stopping());
    EXPECT_EQ(play.take(), "over");
}

// A worker whose piece fails ends it without a report: the others come to their end.
TEST(Scheduler, WaitsForPiecesUnderWay) {
    const RunPlan plan({network_of(1, {0})}, {.workers = 2});
    Play play(plan, MissingWork(plan.networks));
    play.end(play.take());
    EXPECT_EQ(play.take(), "analyse 0 at 0: 0");
    EXPECT_EQ(play.take(), "wait");  // its record may bring a search
    play.scheduler.finished(play.pieces.at("analyse 0 at 0: 0"));
    EXPECT_EQ(play.take(), "over");
}

TEST(Scheduler, SearchesComeLastAndFromRecordedSnapshots) {
    std::vector<PlannedNetwork> networks = {network_of(2, {0, 5, 10})};
    networks[0].recipe.critical_points.epochs = {5, 10};
    const RunPlan plan(networks, {.replicas_per_batch = {2}});
    MissingWork missing(networks);
    missing.search_done(0, 1, 1);
    EXPECT_EQ(missing.searches(), 3);
    Play play(plan, missing);
    EXPECT_EQ(play.alone(),
              (Texts{"begin 0 to 0", "analyse 0 at 0: 0 1", "train 0 to 1", "analyse 0 at 1: 0 1",
                     "train 0 to 2", "analyse 0 at 2: 0 1", "search 0[0] at 1 as 0", "search 0[1] at 1 as 0",
                     "search 0[0] at 2 as 1"}));
}

TEST(Scheduler, SearchesOnTheHostRunBesideAnalyses) {
    std::vector<PlannedNetwork> networks = {network_of(2, {0, 5}), network_of(1, {0, 5}, Activation::tanh)};
    for (PlannedNetwork& planned : networks) planned.recipe.critical_points.epochs = {0, 5};
    const RunPlan plan(
        networks,
        {.workers = 2, .trainings = 1, .analyses = 1, .searchers = 2, .searches_on_host = {true, false}});
    MissingWork missing(networks);
    for (const Index replica : {0, 1})
        for (const Index snapshot : {0, 1}) missing.spectrum_done(0, replica, snapshot);
    missing.spectrum_done(1, 0, 0);
    Play play(plan, missing);
    EXPECT_EQ(play.take(), "begin 0 to 1");           // of the second network
    EXPECT_EQ(play.take(), "search 1[0] at 0 as 0");  // in place of an analysis
    EXPECT_EQ(play.take(), "search 0[0] at 0 as 0");
    EXPECT_EQ(play.take(), "search 0[0] at 1 as 1");
    EXPECT_EQ(play.take(), "wait");  // two at a time
    play.end("begin 0 to 1");
    EXPECT_EQ(play.take(), "wait");  // one analysis at a time
    play.end("search 0[0] at 0 as 0");
    EXPECT_EQ(play.take(), "search 0[1] at 0 as 0");
    play.end("search 1[0] at 0 as 0");
    EXPECT_EQ(play.take(), "analyse 0 at 1: 0");
    play.end("analyse 0 at 1: 0");
    EXPECT_EQ(play.take(), "search 1[0] at 1 as 1");
    for (const char* piece : {"search 0[1] at 0 as 0", "search 0[0] at 1 as 1", "search 1[0] at 1 as 1"})
        play.end(piece);
    EXPECT_EQ(play.alone(), (Texts{"search 0[1] at 1 as 1"}));
}

TEST(Scheduler, ResumedSearchesNeedNoTraining) {
    std::vector<PlannedNetwork> networks = {network_of(2, {0, 5})};
    networks[0].recipe.critical_points.epochs = {0, 5};
    const RunPlan plan(networks, {.analyses = 1});
    MissingWork missing(networks);
    for (const Index replica : {0, 1})
        for (const Index snapshot : {0, 1}) missing.spectrum_done(0, replica, snapshot);
    missing.search_done(0, 0, 1);
    Play play(plan, missing);
    EXPECT_EQ(play.take(), "search 0[0] at 0 as 0");
    EXPECT_EQ(play.take(), "wait");  // a search counts as an analysis
    play.end("search 0[0] at 0 as 0");
    EXPECT_EQ(play.alone(), (Texts{"search 0[1] at 0 as 0", "search 0[1] at 1 as 1"}));
}

}  // namespace
}  // namespace espectra
