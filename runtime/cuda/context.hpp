#pragma once

#include "espectra/runtime/buffer.hpp"

#include <cstddef>
#include <memory>
#include <utility>

namespace espectra {

/// The CUDA backend: one device, one stream, its library handles and a stream-ordered memory pool. All work
/// of a context is asynchronous and ordered on its stream; work that overlaps takes two contexts. Move only.
class CudaContext {
  public:
    static constexpr Space space = Space::device;

    explicit CudaContext(int device = 0);
    CudaContext(CudaContext&&) noexcept;
    CudaContext& operator=(CudaContext&&) noexcept;
    ~CudaContext();

    int device() const noexcept;
    /// The underlying cudaStream_t, cublasHandle_t and cusolverDnHandle_t (created when first asked for), as
    /// opaque pointers: headers that model code sees include nothing of CUDA.
    void* stream() const noexcept;
    void* cublas();
    void* cusolver();

    /// Blocks the calling thread until all work given to the stream is done.
    void synchronize();

    /// Stream-ordered allocation from the device's pool; throws ResourceError with what is needed and what is
    /// free.
    void* allocate(std::size_t bytes);
    void free(void* memory) noexcept;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Devices that the driver offers; 0 where there is no driver or no device.
int cuda_device_count() noexcept;

/// Asynchronous copies on the context's stream; the host side of an overlapping copy has to be pinned.
void copy_bytes(CudaContext& context, const void* source, void* destination, std::size_t bytes);

template <class T>
void copy(CudaContext& context, const T* source, T* destination, Index count) {
    copy_bytes(context, source, destination, static_cast<std::size_t>(count) * sizeof(T));
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
