#include "ptx/memory/race_shadow.hpp"

#include <algorithm>

namespace espectra::ptx {

namespace {

/// The write stamp of a split granule: no phase has this number, so that the checks of whole granules take it
/// for a conflict.
constexpr Stamp split_mark = ~Stamp{0};

/// Returns the stamp that stands for all of the same meaning: `names` has the stamps of the launch, the block
/// and the phase in the result.
constexpr Stamp simplified_stamp(Stamp stamp, bool read, const Now& now, const Now& names) {
    if (stamp < now.launch) return 0;
    if (stamp < now.block) return names.launch;
    const Stamp other = read ? stamp & stamp_other_block : 0;
    if (stamp < now.phase) return names.block | other;
    return names.phase | (stamp - now.phase);
}

}  // namespace

RaceShadow::Touched RaceShadow::touch(Cell& cell, bool write, Stamp self, const Now& now) {
    Touched result;
    if (conflicts_with_write(cell.write, self, now))
        result = {true, true, cell.write};
    else if (write && conflicts_with_reads(cell.read, self, now))
        result = {true, false, cell.read};
    if (write)
        cell.write = self;
    else
        cell.read = with_read(cell.read, self, now);
    return result;
}

RaceShadow::Cell RaceShadow::simplified(const Cell& cell, const Now& now, const Now& names) {
    return {simplified_stamp(cell.write, false, now, names), simplified_stamp(cell.read, true, now, names)};
}

RaceShadow::Split& RaceShadow::split(std::size_t granule) {
    if (free_splits_.empty()) {
        free_splits_.push_back(static_cast<Stamp>(splits_.size()));
        splits_.emplace_back();
    }
    const Stamp index = free_splits_.back();
    free_splits_.pop_back();
    splits_[index].fill({writes_[granule], reads_[granule]});
    writes_[granule] = split_mark;
    reads_[granule] = index;
    return splits_[index];
}

void RaceShadow::join(std::size_t granule, const Now& now) {
    const Stamp index = reads_[granule];
    Split& cells = splits_[index];
    const Cell first = simplified(cells[0], now, now);
    if (!std::ranges::all_of(cells, [&](const Cell& cell) { return simplified(cell, now, now) == first; }))
        return;
    writes_[granule] = first.write;
    reads_[granule] = first.read;
    free_splits_.push_back(index);
}

std::optional<RaceShadow::Conflict> RaceShadow::access(std::size_t first, std::size_t last, bool write,
                                                       Stamp thread, const Now& now) {
    std::optional<Conflict> conflict;
    const Stamp self = now.phase | thread;
    for (std::size_t granule = first / granule_bytes; granule * granule_bytes < last; ++granule) {
        const std::size_t start = granule * granule_bytes;
        const std::size_t from = std::max(first, start) - start;
        const std::size_t to = std::min(last - start, granule_bytes);
        const auto keep = [&](const Touched& touched, std::size_t byte) {
            if (touched.conflict && !conflict)
                conflict = Conflict{start + byte, touched.with_write, touched.earlier};
        };
        if (writes_[granule] != split_mark) {
            const Cell before{writes_[granule], reads_[granule]};
            Cell after = before;
            const Touched touched = touch(after, write, self, now);
            if (after == before || to - from == granule_bytes) {
                writes_[granule] = after.write;
                reads_[granule] = after.read;
                keep(touched, from);
                continue;
            }
            split(granule);
        }
        Split& cells = splits_[reads_[granule]];
        bool changed = false;
        for (std::size_t byte = from; byte < to; ++byte) {
            const Cell before = cells[byte];
            keep(touch(cells[byte], write, self, now), byte);
            changed |= !(cells[byte] == before);
        }
        if (changed) join(granule, now);
    }
    return conflict;
}

bool RaceShadow::read_granules(std::size_t granule, const Stamp* stamps, std::size_t count,
                               const Now& now) const {
    const Stamp* writes = writes_.data() + granule;
    Stamp* reads = reads_.data() + granule;
    const Now here = now;
    Stamp conflicts = 0;
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i)
        conflicts |= static_cast<Stamp>(conflicts_with_write(writes[i], stamps[i], here));
    if (conflicts != 0) return false;
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i) reads[i] = with_read(reads[i], stamps[i], here);
    return true;
}

bool RaceShadow::write_granules(std::size_t granule, const Stamp* stamps, std::size_t count,
                                const Now& now) const {
    Stamp* writes = writes_.data() + granule;
    const Stamp* reads = reads_.data() + granule;
    const Now here = now;
    Stamp conflicts = 0;
#pragma GCC ivdep
    for (std::size_t i = 0; i < count; ++i)
        conflicts |= static_cast<Stamp>(conflicts_with_write(writes[i], stamps[i], here) |
                                        conflicts_with_reads(reads[i], stamps[i], here));
    if (conflicts != 0) return false;
    std::copy(stamps, stamps + count, writes);
    return true;
}

void RaceShadow::discard(std::size_t first, std::size_t last) {
    const std::size_t begin = first / granule_bytes, end = (last + granule_bytes - 1) / granule_bytes;
    if (splits_.size() > free_splits_.size())
        for (std::size_t g = begin; g < end; ++g)
            if (writes_[g] == split_mark) free_splits_.push_back(reads_[g]);
    writes_.discard(begin, end);
    reads_.discard(begin, end);
}

Now RaceShadow::renumbered(const Now& now) {
    const Stamp one = Stamp{1} << stamp_thread_bits;
    Now names;
    names.launch = one;
    names.block = names.launch + (now.block > now.launch ? one : 0);
    names.phase = names.block + (now.phase > now.block ? one : 0);
    return names;
}

void RaceShadow::renumber(std::size_t first, std::size_t last, const Now& now, const Now& names) {
    const std::size_t begin = first / granule_bytes, end = (last + granule_bytes - 1) / granule_bytes;
    for (std::size_t g = begin; g < end; ++g) {
        if (writes_[g] == split_mark) {
            for (Cell& cell : splits_[reads_[g]]) cell = simplified(cell, now, names);
            continue;
        }
        if ((writes_[g] | reads_[g]) == 0) continue;
        const Cell cell = simplified({writes_[g], reads_[g]}, now, names);
        writes_[g] = cell.write;
        reads_[g] = cell.read;
    }
}

}  // namespace espectra::ptx
