#pragma once

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/view.hpp"

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace espectra {

/// A concrete execution context of one memory space; operations are overloaded on it. Model code that differs
/// between backends depends on their properties, not on their names.
template <class B>
concept Backend = requires(B& backend) {
    { B::space } -> std::convertible_to<Space>;
    { B::fused_hessian } -> std::convertible_to<bool>;           // kernels/fused_hessian.hpp runs on it
    { B::chunk_bytes } -> std::convertible_to<std::size_t>;      // of the values of a chunk of examples
    { B::stepwise_method } -> std::convertible_to<const char*>;  // training by operations, for reports
    { B::fused_method } -> std::convertible_to<const char*>;     // training by fused_training, for reports
    backend.synchronize();
};

inline constexpr std::size_t host_alignment = 64;

/// Allocates host memory aligned to `host_alignment`; throws ResourceError "out of memory: …".
void* allocate_host(std::size_t bytes);
void free_host(void* memory) noexcept;

/// Owning array of a trivial type in one memory space. It can only be moved; its values are not initialised.
template <class T, Space S>
class Buffer;

template <class T>
class Buffer<T, Space::host> {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Buffer() = default;
    Buffer(CpuContext& /*context*/, Index count)
        : data_(count > 0 ? static_cast<T*>(allocate_host(static_cast<std::size_t>(count) * sizeof(T)))
                          : nullptr),
          size_(count) {}
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Buffer() { free_host(data_); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    Index size() const { return size_; }

    /// Returns a contiguous row-major view of the beginning of the buffer.
    template <class... E>
    auto view(E... extents) {
        return make_view(data_, extents...);
    }
    template <class... E>
    auto view(E... extents) const {
        return make_view(static_cast<const T*>(data_), extents...);
    }

  private:
    T* data_ = nullptr;
    Index size_ = 0;
};

}  // namespace espectra
