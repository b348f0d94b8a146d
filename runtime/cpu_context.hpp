#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

namespace espectra {

/// Scratch memory of one worker: a stack that grows by segments and is kept between calls. Pointers stay
/// valid until their Frame ends. Memory is aligned to 64 bytes; a failed allocation throws ResourceError with
/// the size.
class Arena {
  public:
    Arena() = default;
    Arena(Arena&&) noexcept = default;
    Arena& operator=(Arena&&) noexcept = default;

    /// Releases on destruction everything that was taken since its construction.
    class Frame {
      public:
        explicit Frame(Arena& arena) : arena_(arena), segment_(arena.segment_), used_(arena.used_) {}
        ~Frame() {
            arena_.segment_ = segment_;
            arena_.used_ = used_;
        }
        Frame(const Frame&) = delete;
        Frame& operator=(const Frame&) = delete;

      private:
        Arena& arena_;
        std::size_t segment_, used_;
    };

    /// Returns uninitialised memory for `count` elements of a trivial type.
    template <class T>
    T* take(Index count) {
        return static_cast<T*>(take_bytes(static_cast<std::size_t>(count) * sizeof(T)));
    }

  private:
    struct Deleter {
        void operator()(std::byte* memory) const noexcept;
    };
    struct Segment {
        std::unique_ptr<std::byte, Deleter> memory;
        std::size_t size = 0;
    };
    void* take_bytes(std::size_t bytes);

    std::vector<Segment> segments_;
    std::size_t segment_ = 0;  // in use
    std::size_t used_ = 0;     // bytes used in it
};

/// The CPU backend: a fixed number of threads with one scratch arena each. A context is used by one thread at
/// a time; parallel callers take one context each.
class CpuContext {
  public:
    static constexpr Space space = Space::host;
    static constexpr bool fused_hessian = true;
    /// Large enough that matrices of some thousand rows are passed over once or twice.
    static constexpr std::size_t chunk_bytes = std::size_t{256} << 20;
    static constexpr const char* stepwise_method = "kernels per operation";
    static constexpr const char* fused_method = "fused, one thread per replica";

    /// Starts `threads` ≥ 1 workers, of which the calling thread is one; 0 takes all cores that this process
    /// may use. Throws InputError for a negative number, ResourceError if a thread cannot be started.
    explicit CpuContext(int threads = 0);
    CpuContext(CpuContext&&) noexcept;
    CpuContext& operator=(CpuContext&&) noexcept;
    ~CpuContext();

    int threads() const noexcept;

    /// Returns the scratch of worker 0 … threads()−1.
    Arena& arena(int worker = 0);

    /// Calls body(task, worker) for every task in [0, tasks) on all workers, and returns when all are done.
    /// Results must not depend on which worker runs which task: that is not determined. Rethrows the first
    /// exception of a body and drops the tasks that have not begun. Calls must not be nested.
    void parallel_for(Index tasks, const std::function<void(Index task, int worker)>& body);

    void synchronize() {}

    /// A point in the work of a context that work of another context can wait for; here work is done at once.
    struct Event {};
    Event record() { return {}; }
    void wait_for(const Event& /*event*/) {}

    /// State of repeat() between its calls: none.
    struct Recording {};

  private:
    struct Pool;
    std::unique_ptr<Pool> pool_;
};

/// Returns the number of cores that this process may run on (by its affinity mask, not the machine's count).
int available_cores();

/// Copies between contiguous arrays of the same size.
template <class T>
void copy(CpuContext& /*context*/, const T* source, T* destination, Index count) {
    for (Index i = 0; i < count; ++i) destination[i] = source[i];
}

/// Copies like copy(); the source may change at once.
template <class T>
void send(CpuContext& context, const T* source, T* destination, Index count) {
    copy(context, source, destination, count);
}

/// Calls work() `times` times.
template <class Work>
void repeat(CpuContext& /*context*/, CpuContext::Recording& /*recording*/, std::int64_t times, Work&& work) {
    for (std::int64_t i = 0; i < times; ++i) work();
}

/// Copies `count` values at `source` on the backend to host memory after all prior work has finished.
template <class T>
std::vector<std::remove_const_t<T>> fetch(CpuContext& /*context*/, T* source, Index count) {
    return {source, source + count};
}

}  // namespace espectra
