#include "espectra/runtime/cpu_context.hpp"

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace espectra {

namespace {
constexpr std::size_t smallest_segment = std::size_t{1} << 20;
}  // namespace

void Arena::Deleter::operator()(std::byte* memory) const noexcept { free_host(memory); }

void* Arena::take_bytes(std::size_t bytes) {
    bytes = (bytes + host_alignment - 1) / host_alignment * host_alignment;
    while (segment_ < segments_.size() && used_ + bytes > segments_[segment_].size) {
        // The rest of this segment is too small. A later unused segment that is too small as well is freed.
        if (used_ == 0) {
            segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(segment_), segments_.end());
        } else {
            ++segment_;
            used_ = 0;
        }
    }
    if (segment_ == segments_.size()) {
        const std::size_t size = std::max(bytes, smallest_segment);
        segments_.push_back({{static_cast<std::byte*>(allocate_host(size)), {}}, size});
        used_ = 0;
    }
    void* memory = segments_[segment_].memory.get() + used_;
    used_ += bytes;
    return memory;
}

namespace {

constexpr std::chrono::microseconds awake_time{50};
constexpr int looks = 32;  // between two looks at the clock

/// Yields to the other hardware thread of the core and saves power.
void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
}

/// Waits until `value` is no longer `old`: first awake for about as long as it takes to wake a thread, since
/// the loops of a small network follow each other faster than that, then asleep.
template <class T>
void wait_for_change(const std::atomic<T>& value, T old, bool awake) {
    if (awake) {
        const auto end = std::chrono::steady_clock::now() + awake_time;
        do
            for (int i = 0; i < looks; ++i) {
                if (value.load(std::memory_order_acquire) != old) return;
                pause();
            }
        while (std::chrono::steady_clock::now() < end);
    }
    value.wait(old, std::memory_order_acquire);
}
}  // namespace

struct CpuContext::Pool {
    std::vector<Arena> arenas;
    std::vector<std::thread> workers;
    bool awake;  // each thread has a core of its own to wait on

    const std::function<void(Index, int)>* body = nullptr;
    Index tasks = 0;
    std::atomic<Index> next{0};
    std::atomic<unsigned> generation{0};  // counts loops; publishes body and tasks
    std::atomic<int> running{0};          // workers that have not finished the loop
    bool stopping = false;                // published by generation as well
    std::mutex mutex;                     // of failure
    std::exception_ptr failure;

    explicit Pool(int threads)
        : arenas(static_cast<std::size_t>(threads)), awake(threads <= available_cores()) {
        try {
            for (int worker = 1; worker < threads; ++worker)
                workers.emplace_back([this, worker] { serve(worker); });
        } catch (const std::system_error& error) {
            stop();
            throw ResourceError(fmt::format("cannot start thread {} of {}: {}", workers.size() + 2, threads,
                                            error.code().message()));
        }
    }
    ~Pool() { stop(); }

    void stop() {
        stopping = true;
        announce();
        for (auto& worker : workers) worker.join();
        workers.clear();
    }

    void announce() {
        generation.fetch_add(1, std::memory_order_release);
        generation.notify_all();
    }

    void serve(int worker) {
        for (unsigned seen = 0;; ++seen) {
            wait_for_change(generation, seen, awake);
            if (stopping) return;
            work(worker);
            if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) running.notify_one();
        }
    }

    void run(Index count, const std::function<void(Index, int)>& loop) {
        body = &loop;
        tasks = count;
        next = 0;
        failure = nullptr;
        running = static_cast<int>(workers.size());
        announce();
        work(0);
        for (int left = running; left > 0; left = running) wait_for_change(running, left, awake);
        if (failure) std::rethrow_exception(failure);
    }

    void work(int worker) {
        for (Index task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) {
            try {
                (*body)(task, worker);
            } catch (...) {
                std::lock_guard lock(mutex);
                if (!failure) failure = std::current_exception();
                next = tasks;
            }
        }
    }
};

CpuContext::CpuContext(int threads) {
    if (threads < 0) throw InputError(fmt::format("threads: expected at least 1, got {}", threads));
    pool_ = std::make_unique<Pool>(threads == 0 ? available_cores() : threads);
}

CpuContext::CpuContext(CpuContext&&) noexcept = default;
CpuContext& CpuContext::operator=(CpuContext&&) noexcept = default;
CpuContext::~CpuContext() = default;

int CpuContext::threads() const noexcept { return static_cast<int>(pool_->arenas.size()); }

Arena& CpuContext::arena(int worker) { return pool_->arenas[static_cast<std::size_t>(worker)]; }

void CpuContext::parallel_for(Index tasks, const std::function<void(Index, int)>& body) {
    if (tasks <= 0) return;
    if (pool_->workers.empty() || tasks == 1) {
        for (Index task = 0; task < tasks; ++task) body(task, 0);
        return;
    }
    pool_->run(tasks, body);
}

int available_cores() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace espectra
