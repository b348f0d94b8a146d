#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

namespace espectra {

/// Scratch memory of one worker: a stack that grows by blocks and is kept between calls. Pointers stay valid
/// until their Frame ends. Aligned to 64 bytes; allocation failure throws ResourceError with the size.
class Arena {
  public:
    Arena() = default;
    Arena(Arena&&) noexcept = default;
    Arena& operator=(Arena&&) noexcept = default;

    /// Releases on destruction everything taken since its construction.
    class Frame {
      public:
        explicit Frame(Arena& arena) : arena_(arena), block_(arena.block_), used_(arena.used_) {}
        ~Frame() {
            arena_.block_ = block_;
            arena_.used_ = used_;
        }
        Frame(const Frame&) = delete;
        Frame& operator=(const Frame&) = delete;

      private:
        Arena& arena_;
        std::size_t block_, used_;
    };

    /// Uninitialised memory for `count` elements of a trivial type.
    template <class T>
    T* take(Index count) {
        return static_cast<T*>(take_bytes(static_cast<std::size_t>(count) * sizeof(T)));
    }

  private:
    struct Deleter {
        void operator()(std::byte* block) const noexcept;
    };
    struct Block {
        std::unique_ptr<std::byte, Deleter> memory;
        std::size_t size = 0;
    };
    void* take_bytes(std::size_t bytes);

    std::vector<Block> blocks_;
    std::size_t block_ = 0;  // block in use
    std::size_t used_ = 0;   // bytes used in it
};

/// The CPU backend: a fixed number of threads with one scratch arena each. Not shared between threads:
/// whoever works in parallel takes one context each.
class CpuContext {
  public:
    static constexpr Space space = Space::host;
    static constexpr bool fused_hessian = true;
    /// Large enough that matrices of some thousand rows are passed over once or twice.
    static constexpr std::size_t chunk_bytes = std::size_t{256} << 20;
    static constexpr const char* stepwise_method = "kernels per operation";
    static constexpr const char* fused_method = "fused, one thread per replica";

    /// `threads` ≥ 1 workers, the calling thread being one of them; 0 takes all cores that this process may
    /// use.
    explicit CpuContext(int threads = 0);
    CpuContext(CpuContext&&) noexcept;
    CpuContext& operator=(CpuContext&&) noexcept;
    ~CpuContext();

    int threads() const noexcept;

    /// Scratch of worker 0 … threads()−1.
    Arena& arena(int worker = 0);

    /// Calls body(task, worker) for every task in [0, tasks), on all workers; returns when all are done.
    /// Which worker runs which task is not determined: results must not depend on it. The first exception of
    /// a body is rethrown here, the tasks not yet begun are dropped. Not to be nested.
    void parallel_for(Index tasks, const std::function<void(Index task, int worker)>& body);

    void synchronize() {}

    /// A point in the work of a context, which work of another one may wait for; here work is done at once.
    struct Event {};
    Event record() { return {}; }
    void wait_for(const Event& /*event*/) {}

    /// What repeat() keeps between its calls: nothing.
    struct Recording {};

  private:
    struct Pool;
    std::unique_ptr<Pool> pool_;
};

/// Cores that this process may run on (its affinity mask, not the machine's count).
int available_cores();

/// Copies between contiguous arrays of the same size.
template <class T>
void copy(CpuContext& /*context*/, const T* source, T* destination, Index count) {
    for (Index i = 0; i < count; ++i) destination[i] = source[i];
}

/// Calls work() `times` times.
template <class Work>
void repeat(CpuContext& /*context*/, CpuContext::Recording& /*recording*/, std::int64_t times, Work&& work) {
    for (std::int64_t i = 0; i < times; ++i) work();
}

/// What stands at `source` on the backend, in host memory, when all work before it is done.
template <class T>
std::vector<std::remove_const_t<T>> fetch(CpuContext& /*context*/, T* source, Index count) {
    return {source, source + count};
}

}  // namespace espectra
