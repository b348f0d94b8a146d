#include "ptx/memory/initialized_bytes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace espectra::ptx {

namespace {

/// Returns the mask of bytes [first, last) of a granule, 0 ≤ first ≤ last ≤ 8.
std::uint8_t mask(std::size_t first, std::size_t last) {
    return static_cast<std::uint8_t>((0xFFU << first) & (0xFFU >> (granule_bytes - last)));
}

/// Calls part(granule, mask) for granules that [first, last) has in part, and whole(first, last) for the
/// range of granules that it has whole.
template <class Part, class Whole>
void for_granules(std::size_t first, std::size_t last, Part part, Whole whole) {
    if (first >= last) return;
    const std::size_t begin = first / granule_bytes, end = last / granule_bytes;
    const std::size_t skipped = first % granule_bytes, rest = last % granule_bytes;
    if (begin == end) return part(begin, mask(skipped, rest));
    if (skipped != 0) part(begin, mask(skipped, granule_bytes));
    const std::size_t first_whole = begin + (skipped != 0 ? 1 : 0);
    if (first_whole < end) whole(first_whole, end);
    if (rest != 0) part(end, mask(0, rest));
}

}  // namespace

bool InitializedBytes::all_granules(std::size_t first, std::size_t last) const {
    const std::uint8_t* masks = masks_.data();
    std::uint8_t common = 0xFF;
    for (std::size_t g = first; g < last; ++g) common &= masks[g];
    return common == 0xFF;
}

bool InitializedBytes::all(std::size_t first, std::size_t last) const {
    bool yes = true;
    for_granules(
        first, last, [&](std::size_t g, std::uint8_t bits) { yes &= (masks_[g] & bits) == bits; },
        [&](std::size_t begin, std::size_t end) { yes &= all_granules(begin, end); });
    return yes;
}

void InitializedBytes::set_granules(std::size_t first, std::size_t last) {
    std::memset(masks_.data() + first, 0xFF, last - first);
}

void InitializedBytes::set(std::size_t first, std::size_t last) {
    for_granules(
        first, last,
        [&](std::size_t g, std::uint8_t bits) { masks_[g] = static_cast<std::uint8_t>(masks_[g] | bits); },
        [&](std::size_t begin, std::size_t end) { set_granules(begin, end); });
}

void InitializedBytes::clear(std::size_t first, std::size_t last) {
    for_granules(
        first, last,
        [&](std::size_t g, std::uint8_t bits) { masks_[g] = static_cast<std::uint8_t>(masks_[g] & ~bits); },
        [&](std::size_t begin, std::size_t end) { masks_.discard(begin, end); });
}

void InitializedBytes::copy(std::size_t target, std::size_t source, std::size_t bytes) {
    if (all(source, source + bytes)) return set(target, target + bytes);
    std::vector<bool> states(bytes);
    for (std::size_t b = 0; b < bytes; ++b) states[b] = at(source + b);
    for (std::size_t b = 0; b < bytes;) {
        std::size_t end = b + 1;
        while (end < bytes && states[end] == states[b]) ++end;
        if (states[b])
            set(target + b, target + end);
        else
            clear(target + b, target + end);
        b = end;
    }
}

InitializedBytes::Missing InitializedBytes::missing(std::size_t first, std::size_t last) const {
    Missing result;
    const auto part = [&](std::size_t g, std::uint8_t bits) {
        const auto absent = static_cast<std::uint8_t>(bits & ~masks_[g]);
        if (absent != 0)
            result.add({static_cast<std::size_t>(std::popcount(absent)),
                        g * granule_bytes + static_cast<std::size_t>(std::countr_zero(absent))});
    };
    for_granules(first, last, part, [&](std::size_t begin, std::size_t end) {
        if (all_granules(begin, end)) return;
        for (std::size_t g = begin; g < end; ++g) part(g, 0xFF);
    });
    return result;
}

}  // namespace espectra::ptx
