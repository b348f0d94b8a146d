// Compares the races that the shadow memory finds in random accesses of all sizes with those of a naive
// model, which keeps all accesses to a byte and compares all pairs.

#include <gtest/gtest.h>

#include "ptx/memory/launch_memory.hpp"
#include "ptx/program/program.hpp"
#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace espectra::ptx {

namespace {

struct ByteAccess {
    int block, phase, thread;
    bool write;
};

class NaiveModel {
  public:
    explicit NaiveModel(std::size_t bytes, bool shared) : accesses_(bytes), shared_(shared) {}

    void access(int instruction, std::size_t first, int bytes, const ByteAccess& access) {
        for (std::size_t byte = first; byte < first + static_cast<std::size_t>(bytes); ++byte) {
            if (std::ranges::any_of(accesses_[byte],
                                    [&](const ByteAccess& earlier) { return race(earlier, access); })) {
                racing.insert(instruction);
                first_on_byte.try_emplace(byte, instruction);
            }
            accesses_[byte].push_back(access);
        }
    }

    std::set<int> racing;                      ///< instructions with an access that races with an earlier one
    std::map<std::size_t, int> first_on_byte;  ///< of each byte with a race, the instruction of the first

  private:
    bool race(const ByteAccess& a, const ByteAccess& b) const {
        if (!a.write && !b.write) return false;
        if (a.block != b.block) return !shared_;
        return a.phase == b.phase && a.thread != b.thread;
    }

    std::vector<std::vector<ByteAccess>> accesses_;
    bool shared_;
};

struct Case {
    std::size_t bytes;                          ///< of memory
    int threads, blocks, phases, instructions;  ///< instructions of a phase
    int writes;                                 ///< of 100 instructions
};

/// The accesses of one instruction: consecutive, equal, or anywhere.
struct RandomInstruction {
    RandomInstruction(const Case& c, std::mt19937& random) {
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        bytes = 1 << below(6);
        write = static_cast<int>(below(100)) < c.writes;
        const std::size_t slots = c.bytes / static_cast<std::size_t>(bytes), pattern = below(3);
        std::size_t slot = below(slots);
        const bool all = below(2) == 0;
        for (int thread = 0; thread < c.threads; ++thread) {
            if (!all && below(3) != 0) continue;
            threads.push_back(thread);
            offsets.push_back(slot * static_cast<std::size_t>(bytes));
            if (pattern == 0) slot = (slot + 1) % slots;
            if (pattern == 1) slot = below(slots);
        }
    }
    int bytes;
    bool write;
    std::vector<int> threads;
    std::vector<std::uint64_t> offsets;
};

/// Runs one random launch, and returns the number of its races.
std::size_t compare(const Case& c, bool shared, unsigned seed) {
    std::mt19937 random(seed);
    Findings findings;
    static Findings none;
    static DeviceMemory device(none);
    const Place call{"fill"};
    auto* const array = static_cast<std::byte*>(device.allocate(c.bytes));
    device.fill(array, 0, c.bytes, call);
    NaiveModel model(c.bytes, shared);
    {
        LaunchMemory memory(device, findings, shared ? c.bytes : 0, [](int instruction) {
            return Place{"kernel", instruction, ""};
        });
        int instruction = 0;
        for (int block = 0; block < c.blocks; ++block) {
            memory.begin_block(block);
            for (int phase = 0; phase < c.phases; ++phase) {
                if (phase > 0) memory.barrier();
                for (int i = 0; i < c.instructions; ++i, ++instruction) {
                    RandomInstruction part(c, random);
                    for (std::size_t k = 0; k < part.threads.size(); ++k) {
                        model.access(instruction, part.offsets[k], part.bytes,
                                     {block, phase, part.threads[k], part.write});
                        part.offsets[k] +=
                            shared ? shared_memory_start : reinterpret_cast<std::uint64_t>(array);
                    }
                    const Access access{shared ? Space::shared : Space::global, part.bytes, instruction,
                                        part.offsets, part.threads};
                    part.write ? memory.write(access) : memory.read(access);
                }
            }
        }
    }
    device.release(array, call);
    std::set<int> found;
    for (const auto& [finding, times] : findings.all())
        if (finding.fault == Fault::race) found.insert(finding.place.line);
    for (const int instruction : found)
        EXPECT_TRUE(model.racing.contains(instruction)) << "no race at instruction " << instruction;
    for (const auto& [byte, instruction] : model.first_on_byte)
        EXPECT_TRUE(found.contains(instruction))
            << "race on byte " << byte << " at instruction " << instruction;
    return found.size();
}

class RaceModel : public testing::TestWithParam<Case> {};

}  // namespace

TEST_P(RaceModel, FindsTheFirstRaceOnEachByteAndNoOthers) {
    std::size_t races = 0, clean = 0;
    for (unsigned seed = 0; seed < 500 && !testing::Test::HasFailure(); ++seed)
        for (const bool shared : {false, true}) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << (shared ? ", shared" : ", global"));
            const std::size_t here = compare(GetParam(), shared, seed);
            races += here;
            clean += here == 0 ? 1 : 0;
        }
    EXPECT_GT(races, 100u);
    EXPECT_GT(clean, 10u);
}

INSTANTIATE_TEST_SUITE_P(Cases, RaceModel,
                         testing::Values(Case{64, 2, 2, 2, 2, 30}, Case{128, 3, 3, 3, 1, 50},
                                         Case{1024, 5, 2, 3, 3, 20}, Case{2048, 32, 2, 2, 2, 5},
                                         Case{4096, 16, 3, 4, 1, 10}, Case{256, 4, 1, 6, 2, 15}));

}  // namespace espectra::ptx
