#pragma once

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace espectra {

/// The CUDA backend: one device, one stream, its library handles and a stream-ordered memory pool. All work
/// of a context is asynchronous and ordered on its stream; work that is to overlap takes two contexts. A
/// context is used by one thread at a time, which may change; its buffers may be read by other contexts and
/// be freed by any thread. It can only be moved, and only before it has buffers. Its destructor waits for its
/// work.
class CudaContext {
  public:
    static constexpr Space space = Space::device;
    static constexpr bool fused_hessian = false;
    /// Large enough for as many examples as fill a device.
    static constexpr std::size_t chunk_bytes = std::size_t{1024} << 20;
    static constexpr const char* stepwise_method = "CUDA graph per epoch";
    static constexpr const char* fused_method = "fused, one block per replica";

    explicit CudaContext(int device = 0);
    CudaContext(CudaContext&&) noexcept;
    CudaContext& operator=(CudaContext&&) noexcept;
    ~CudaContext();

    int device() const noexcept;
    /// Makes the device that of the calling thread. All functions of the context begin with it.
    void activate() const;
    /// Return the underlying cudaStream_t, cublasHandle_t and cusolverDnHandle_t (created
    /// at the first call) as opaque pointers, so that headers which model code includes need no CUDA header.
    /// The handles are set for reproducible results: deterministic algorithms, a workspace of their own, no
    /// atomics, no emulated float64.
    void* stream() const;
    void* cublas();
    void* cusolver();

    /// Waits until all work of the stream is done.
    void synchronize();

    /// A point in the work of a context. wait_for() delays later work of another context until it is reached.
    using Event = std::shared_ptr<void>;
    Event record();
    void wait_for(const Event& event);

    /// Allocates in stream order from the context's pool, which keeps freed memory for later allocations.
    /// Throws ResourceError with the bytes needed and the bytes free.
    void* allocate(std::size_t bytes);
    /// Frees memory, in any thread. Work of other contexts on it has to be finished.
    void free(void* memory) noexcept;

    /// Returns true while repeat() records the work of this context.
    bool capturing() const noexcept;

    /// Copies `bytes` through pinned memory to the host after all prior work has finished; see fetch() below.
    void fetch(const void* source, void* destination, std::size_t bytes);
    /// The same for `rows` of `bytes` each that are `distance` bytes apart at the source, and not at the
    /// destination.
    void fetch_rows(const void* source, std::size_t distance, void* destination, std::size_t bytes,
                    std::size_t rows);

    /// Copies `bytes` through pinned memory to the device in the order of the stream; see send() below.
    void send(const void* source, void* destination, std::size_t bytes);

    /// State of repeat() between its calls: a CUDA graph of the work. It has to be destroyed before the
    /// buffers that the work uses.
    class Recording {
      public:
        Recording() = default;
        Recording(Recording&& other) noexcept
            : prepared_(std::exchange(other.prepared_, false)),
              device_(other.device_),
              refusals_(std::exchange(other.refusals_, 0)),
              graph_(std::exchange(other.graph_, nullptr)) {}
        Recording& operator=(Recording&& other) noexcept {
            std::swap(prepared_, other.prepared_);
            std::swap(refusals_, other.refusals_);
            std::swap(device_, other.device_);
            std::swap(graph_, other.graph_);
            return *this;
        }
        ~Recording();

      private:
        friend class CudaContext;
        friend void repeat(CudaContext&, Recording&, std::int64_t, const std::function<void()>&);
        bool prepared_ = false;  // the work has been done once
        int device_ = 0;
        int refusals_ = 0;       // captures in a row that a call of the work ended
        void* graph_ = nullptr;  // cudaGraphExec_t
    };

  private:
    friend void repeat(CudaContext&, Recording&, std::int64_t, const std::function<void()>&);
    /// Returns the pinned memory, which is allocated at the first call.
    void* staging();
    /// Records the launches of work() as the graph of `recording`. Leaves it without one if a call of another
    /// thread ended the capture.
    void capture(Recording& recording, const std::function<void()>& work);

    struct State;
    std::unique_ptr<State> state_;
};

/// Copies asynchronously on the context's stream. A copy overlaps other work only if its host side is pinned.
void copy_bytes(CudaContext& context, const void* source, void* destination, std::size_t bytes);

template <class T>
void copy(CudaContext& context, const T* source, T* destination, Index count) {
    copy_bytes(context, source, destination, static_cast<std::size_t>(count) * sizeof(T));
}

/// Copies `count` values of the host to `destination` on the device in the order of the stream. The values
/// may change at once. Waits only for earlier copies of this kind, of which the last mebibyte may be under
/// way.
template <class T>
void send(CudaContext& context, const T* source, T* destination, Index count) {
    context.send(source, destination, static_cast<std::size_t>(count) * sizeof(T));
}

/// Does work() `times` times without waiting for the device. The first time of all calls it directly, so that
/// libraries initialise themselves; the second records its launches as a CUDA graph, which all later ones
/// launch. Where another thread disturbs the recording, work() is called directly, and recorded the next
/// time. The work has to be the same each time, so that values that change are in device memory. It must
/// neither wait for the device nor copy from or to the host, and has to free the memory that it allocates;
/// else the second recording throws.
void repeat(CudaContext& context, CudaContext::Recording& recording, std::int64_t times,
            const std::function<void()>& work);

/// Copies `count` values at `source` on the device to host memory after all prior work has finished.
template <class T>
std::vector<std::remove_const_t<T>> fetch(CudaContext& context, T* source, Index count) {
    std::vector<std::remove_const_t<T>> values(static_cast<std::size_t>(count));
    context.fetch(source, values.data(), values.size() * sizeof(T));
    return values;
}

/// Copies the rows of an array to host memory, one after the other, after all prior work has finished.
template <class T>
std::vector<std::remove_const_t<T>> fetch(CudaContext& context, View<T, 2, Space::device> rows) {
    require_equal("fetch: distance of a row's entries", 1, rows.stride[1]);
    std::vector<std::remove_const_t<T>> values(static_cast<std::size_t>(rows.size()));
    context.fetch_rows(rows.data, static_cast<std::size_t>(rows.stride[0]) * sizeof(T), values.data(),
                       static_cast<std::size_t>(rows.extent[1]) * sizeof(T),
                       static_cast<std::size_t>(rows.extent[0]));
    return values;
}

template <class T>
class Buffer<T, Space::device> {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Buffer() = default;
    Buffer(CudaContext& context, Index count)
        : context_(&context),
          data_(count > 0 ? static_cast<T*>(context.allocate(static_cast<std::size_t>(count) * sizeof(T)))
                          : nullptr),
          size_(count) {}
    Buffer(Buffer&& other) noexcept
        : context_(other.context_),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(context_, other.context_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    /// The context has to outlive its buffers.
    ~Buffer() {
        if (data_) context_->free(data_);
    }

    T* data() { return data_; }
    const T* data() const { return data_; }
    Index size() const { return size_; }

    template <class... E>
    auto view(E... extents) {
        return make_view<Space::device>(data_, extents...);
    }
    template <class... E>
    auto view(E... extents) const {
        return make_view<Space::device>(static_cast<const T*>(data_), extents...);
    }

  private:
    CudaContext* context_ = nullptr;
    T* data_ = nullptr;
    Index size_ = 0;
};

}  // namespace espectra
