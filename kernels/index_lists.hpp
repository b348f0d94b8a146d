#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

// Lists of the marked entries of rows on a device, such as the rows of a matrix that are not zero: their
// positions or their number. They are whole numbers, the same in any order of the work.

/// Entries from which on a list is worth the launches of a library.
inline constexpr Index long_list = 2048;

/// Lists that fill a device with one block each: about as many as it has multiprocessors.
inline constexpr Index many_lists = 128;

/// Returns true if a device makes these lists by Thrust, with all multiprocessors on each of them, and false
/// if by its own kernels, with one block per list (kernels/group/index_lists.hpp). Both limits are design
/// values that have not been measured on a GPU.
constexpr bool few_long_lists(Index lists, Index length) { return lists < many_lists && length >= long_list; }

/// Returns the doubles that Thrust allocates for these lists on a device. With the toolkit's 13.0 it takes
/// less than 2 KiB and, for every tile of its scan, a few numbers: less than a byte for 64 entries.
constexpr Index long_list_scratch(Index lists, Index length) {
    return few_long_lists(lists, length) ? 256 + lists * (length + 1) / 512 : 0;
}

}  // namespace espectra
