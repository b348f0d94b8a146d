#include "espectra/runtime/cpu_context.hpp"

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace espectra {

namespace {
constexpr std::size_t smallest_block = std::size_t{1} << 20;
}

void Arena::Deleter::operator()(std::byte* block) const noexcept { free_host(block); }

void* Arena::take_bytes(std::size_t bytes) {
    bytes = (bytes + host_alignment - 1) / host_alignment * host_alignment;
    while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size) {
        // The rest of this block is too small. An unused later block that is too small as well makes room.
        if (used_ == 0) {
            blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(block_), blocks_.end());
        } else {
            ++block_;
            used_ = 0;
        }
    }
    if (block_ == blocks_.size()) {
        const std::size_t size = std::max(bytes, smallest_block);
        blocks_.push_back({{static_cast<std::byte*>(allocate_host(size)), {}}, size});
        used_ = 0;
    }
    void* memory = blocks_[block_].memory.get() + used_;
    used_ += bytes;
    return memory;
}

struct CpuContext::Pool {
    std::vector<Arena> arenas;
    std::vector<std::thread> workers;

    std::mutex mutex;
    std::condition_variable start, finished;
    const std::function<void(Index, int)>* body = nullptr;
    Index tasks = 0;
    std::atomic<Index> next{0};
    unsigned generation = 0;
    int running = 0;
    bool stopping = false;
    std::exception_ptr failure;

    explicit Pool(int threads) : arenas(static_cast<std::size_t>(threads)) {
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
        {
            std::lock_guard lock(mutex);
            stopping = true;
        }
        start.notify_all();
        for (auto& worker : workers) worker.join();
        workers.clear();
    }

    void serve(int worker) {
        unsigned seen = 0;
        std::unique_lock lock(mutex);
        while (true) {
            start.wait(lock, [&] { return stopping || generation != seen; });
            if (stopping) return;
            seen = generation;
            lock.unlock();
            work(worker);
            lock.lock();
            if (--running == 0) finished.notify_one();
        }
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
    Pool& pool = *pool_;
    if (pool.workers.empty() || tasks == 1) {
        for (Index task = 0; task < tasks; ++task) body(task, 0);
        return;
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.body = &body;
        pool.tasks = tasks;
        pool.next = 0;
        pool.failure = nullptr;
        pool.running = static_cast<int>(pool.workers.size());
        ++pool.generation;
    }
    pool.start.notify_all();
    pool.work(0);
    std::unique_lock lock(pool.mutex);
    pool.finished.wait(lock, [&] { return pool.running == 0; });
    if (pool.failure) std::rethrow_exception(pool.failure);
}

int available_cores() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace espectra
