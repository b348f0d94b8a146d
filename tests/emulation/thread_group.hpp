#pragma once

#include "espectra/kernels/group/group.hpp"

#include <barrier>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

namespace espectra::test {

/// How the threads of a group take turns.
enum class Schedule {
    free,       ///< at the same time, as the operating system schedules them: for ThreadSanitizer
    ascending,  ///< one at a time, each until its next sync(), thread 0 first
    descending  ///< the same, the last thread first
};

/// State that the threads of one group share. With a fixed order of turns a missing sync() is found every
/// time, since the first thread runs ahead of all others.
class ThreadTeam {
  public:
    ThreadTeam(int size, Schedule schedule)
        : size_(size),
          schedule_(schedule),
          barrier_(size),
          exchange_a_(static_cast<std::size_t>(size)),
          exchange_b_(static_cast<std::size_t>(size)) {
        for (int rank = 0; rank < size; ++rank) turns_.push_back(std::make_unique<std::binary_semaphore>(0));
    }

    int size() const { return size_; }

    /// Calls body(rank) on all threads and returns when all are done.
    template <class Body>
    void run(Body&& body) {
        std::vector<std::jthread> threads;
        for (int rank = 0; rank < size_; ++rank)
            threads.emplace_back([&, rank] {
                if (schedule_ != Schedule::free && rank != first()) turn(rank).acquire();
                body(rank);
                if (schedule_ != Schedule::free && rank != last()) turn(next(rank)).release();
            });
    }

    void wait_for_all(int rank) {
        if (schedule_ == Schedule::free) {
            barrier_.arrive_and_wait();
        } else if (size_ > 1) {
            turn(rank == last() ? first() : next(rank)).release();
            turn(rank).acquire();
        }
    }

    struct FragmentA {
        double values[2];
    };
    FragmentA& exchange_a(int rank) { return exchange_a_[static_cast<std::size_t>(rank)]; }
    double& exchange_b(int rank) { return exchange_b_[static_cast<std::size_t>(rank)]; }

  private:
    int first() const { return schedule_ == Schedule::descending ? size_ - 1 : 0; }
    int last() const { return schedule_ == Schedule::descending ? 0 : size_ - 1; }
    int next(int rank) const { return schedule_ == Schedule::descending ? rank - 1 : rank + 1; }
    std::binary_semaphore& turn(int rank) { return *turns_[static_cast<std::size_t>(rank)]; }

    int size_;
    Schedule schedule_;
    std::barrier<> barrier_;
    std::vector<std::unique_ptr<std::binary_semaphore>> turns_;
    std::vector<FragmentA> exchange_a_;
    std::vector<double> exchange_b_;
};

/// One of N threads that run a block of a group kernel together.
class ThreadGroup {
  public:
    /// The sync() with number `dropped`, counted from 0, is skipped (−1: none).
    ThreadGroup(ThreadTeam& team, int rank, long& syncs, long dropped)
        : team_(&team), rank_(rank), syncs_(&syncs), dropped_(dropped) {}

    int rank() const { return rank_; }
    int size() const { return team_->size(); }
    void sync() const {
        if ((*syncs_)++ != dropped_) team_->wait_for_all(rank_);
    }

    /// c += a·b for the 16 × 4 times 4 × 8 tile that the 32 threads of a warp hold: PTX mma.m16n8k4 for f64.
    /// Thread t of a warp holds a: rows t/4 and t/4 + 8, column t%4; b: row t%4, column t/4; c: rows t/4
    /// (twice) and t/4 + 8 (twice), columns 2(t%4) and 2(t%4) + 1. The size of the group has to be a multiple
    /// of 32.
    void multiply_accumulate(double (&c)[4], double a0, double a1, double b) const {
        team_->exchange_a(rank_) = {{a0, a1}};
        team_->exchange_b(rank_) = b;
        team_->wait_for_all(rank_);
        const int warp = rank_ / 32 * 32, lane = rank_ % 32;
        for (int half = 0; half < 2; ++half)
            for (int side = 0; side < 2; ++side)
                for (int k = 0; k < 4; ++k)
                    c[half * 2 + side] = __builtin_fma(
                        team_->exchange_a(warp + lane / 4 * 4 + k).values[half],
                        team_->exchange_b(warp + (2 * (lane % 4) + side) * 4 + k), c[half * 2 + side]);
        team_->wait_for_all(rank_);
    }

  private:
    ThreadTeam* team_;
    int rank_;
    long* syncs_;
    long dropped_;
};

static_assert(Group<ThreadGroup>);

}  // namespace espectra::test
