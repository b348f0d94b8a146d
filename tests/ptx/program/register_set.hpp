#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace espectra::ptx {

/// A set of registers of a program, by their indices.
class RegisterSet {
  public:
    /// Makes the empty set, or that of all registers.
    explicit RegisterSet(std::size_t registers, bool full = false) : words_((registers + 63) / 64) {
        for (std::size_t r = 0; full && r < registers; ++r) insert(static_cast<int>(r));
    }

    bool contains(int r) const { return (words_[static_cast<std::size_t>(r) / 64] >> r % 64 & 1) != 0; }
    void insert(int r) { words_[static_cast<std::size_t>(r) / 64] |= std::uint64_t{1} << r % 64; }

    /// Removes what is not in `other`, and returns true if that was anything.
    bool intersect(const RegisterSet& other) {
        std::uint64_t removed = 0;
        for (std::size_t w = 0; w < words_.size(); ++w) {
            removed |= words_[w] & ~other.words_[w];
            words_[w] &= other.words_[w];
        }
        return removed != 0;
    }

    /// Adds the members of `live` that are not in `written`, and returns true if there is a new one.
    bool add_without(const RegisterSet& live, const RegisterSet& written) {
        std::uint64_t added = 0;
        for (std::size_t w = 0; w < words_.size(); ++w) {
            const std::uint64_t more = live.words_[w] & ~written.words_[w] & ~words_[w];
            words_[w] |= more;
            added |= more;
        }
        return added != 0;
    }

    /// Calls use(register) for the members.
    template <class Use>
    void for_each(const Use& use) const {
        for (std::size_t w = 0; w < words_.size(); ++w)
            for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1)
                use(static_cast<int>(64 * w) + std::countr_zero(rest));
    }

  private:
    std::vector<std::uint64_t> words_;
};

}  // namespace espectra::ptx
