#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

namespace espectra::ptx {

/// An array of zeros in pages that the system provides when they are touched.
template <class T>
class Mapping {
  public:
    static constexpr std::size_t page = 4096;

    /// Throws std::bad_alloc if the range of addresses cannot be had.
    explicit Mapping(std::size_t count) : count_(count) {
        void* data = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (data == MAP_FAILED) throw std::bad_alloc();
        data_ = static_cast<T*>(data);
        // A core dump has no use for it, and would take its time.
        madvise(data, count * sizeof(T), MADV_DONTDUMP);
    }
    ~Mapping() {
        if (data_ != nullptr) munmap(data_, count_ * sizeof(T));
    }
    Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(other.count_) {}
    Mapping& operator=(Mapping&&) = delete;

    T* data() const { return data_; }
    T& operator[](std::size_t i) const { return data_[i]; }
    std::size_t size() const { return count_; }

    /// Makes elements [first, last) zero, and gives whole pages back to the system.
    void discard(std::size_t first, std::size_t last) const {
        const auto up = [](std::uintptr_t address) { return (address + page - 1) / page * page; };
        const auto begin = reinterpret_cast<std::uintptr_t>(data_ + first);
        const auto end = reinterpret_cast<std::uintptr_t>(data_ + last);
        const std::uintptr_t first_page = up(begin), last_page = end / page * page;
        const auto clear = [&](std::uintptr_t from, std::uintptr_t to) {
            std::memset(
                reinterpret_cast<std::byte*>(data_) + (from - reinterpret_cast<std::uintptr_t>(data_)), 0,
                to - from);
        };
        if (first_page >= last_page) {
            clear(begin, end);
            return;
        }
        clear(begin, first_page);
        clear(last_page, end);
        madvise(reinterpret_cast<std::byte*>(data_) + (first_page - reinterpret_cast<std::uintptr_t>(data_)),
                last_page - first_page, MADV_DONTNEED);
    }

  private:
    T* data_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace espectra::ptx
