#include "ptx/runtime/uses.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace espectra::ptx {

namespace {

/// Bytes that a stream has used last at `order`.
struct StreamUse {
    std::size_t first, last;
    bool written;
    Order order;
    std::string call;
};

struct Used {
    Order begin;
    std::vector<StreamUse> uses;
};

std::map<const void*, Used>& allocations() {
    static auto& all = *new std::map<const void*, Used>;
    return all;
}

/// Uses of one allocation that are kept one by one; beyond, those of one stream are merged.
constexpr std::size_t most_uses = 64;

void add(Used& used, StreamUse&& use) {
    for (StreamUse& other : used.uses) {
        if (other.order.stream != use.order.stream || other.written != use.written) continue;
        const bool same = other.first == use.first && other.last == use.last;
        if (!same && used.uses.size() < most_uses) continue;
        use.first = std::min(use.first, other.first);
        use.last = std::max(use.last, other.last);
        other = std::move(use);
        return;
    }
    used.uses.push_back(std::move(use));
}

}  // namespace

DeviceMemory& device_memory() {
    static auto& memory = *new DeviceMemory(process_findings());
    return memory;
}

void report(Fault fault, const std::string& call, const std::string& detail, const void* address) {
    const Place place{call};
    process_findings().add({.fault = fault,
                            .place = place,
                            .address = reinterpret_cast<std::uint64_t>(address),
                            .detail = detail});
}

void begin_allocation(void* address, const Order& order) { allocations()[address] = {order, {}}; }

void end_allocation(void* address, const std::string& call, const Order& order) {
    const auto found = allocations().find(address);
    if (found == allocations().end()) return;
    if (!precedes(found->second.begin, order))
        report(Fault::stream_order, call,
               "is not ordered after the allocation of this memory on " +
                   name_of_stream(found->second.begin.stream),
               address);
    for (const StreamUse& use : found->second.uses)
        if (!precedes(use.order, order))
            report(Fault::stream_order, call,
                   "frees memory on " + name_of_stream(order.stream) + " that " + use.call + " uses on " +
                       name_of_stream(use.order.stream) + " without an order between them",
                   address);
    allocations().erase(found);
}

void check_uses(const std::string& call, const Order& order) {
    for (const Use& use : device_memory().take_uses()) {
        const auto found = allocations().find(use.allocation);
        if (found == allocations().end()) continue;  // a finding of the memory itself
        Used& used = found->second;
        if (!precedes(used.begin, order))
            report(Fault::stream_order, call,
                   "uses memory on " + name_of_stream(order.stream) +
                       " without an order after its allocation on " + name_of_stream(used.begin.stream),
                   use.allocation);
        for (const StreamUse& other : used.uses) {
            if (!(use.written || other.written) || other.last <= use.first || use.last <= other.first)
                continue;
            if (precedes(other.order, order)) continue;
            report(Fault::stream_order, call,
                   (use.written ? "writes" : "reads") + std::string(" bytes [") + std::to_string(use.first) +
                       ", " + std::to_string(use.last) + ") of an allocation on " +
                       name_of_stream(order.stream) + ", which " + other.call +
                       (other.written ? " writes" : " reads") + " on " + name_of_stream(other.order.stream) +
                       " without an order between them",
                   use.allocation);
        }
        add(used, {use.first, use.last, use.written, order, call});
    }
}

}  // namespace espectra::ptx
