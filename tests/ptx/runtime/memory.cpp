// Memory of the device and of the host: pools in stream order, and pinned memory.

#include "ptx/runtime/memory.hpp"

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/options.hpp"
#include "ptx/runtime/uses.hpp"
#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <utility>

/// Addresses that have been freed are kept for allocations of the same size. The device's memory of a pool is
/// what its allocations have taken at most at one time, since it was made or trimmed: a pool without gaps
/// that gives nothing back.
struct CUmemPoolHandle_st {
    struct Kept {
        std::shared_ptr<espectra::ptx::Reservation> reservation;
        espectra::ptx::Order freed;
    };
    std::multimap<std::size_t, Kept> kept;
    espectra::ptx::LiveBytes bytes;
};

namespace espectra::ptx {

namespace {

auto& pools = *new std::set<cudaMemPool_t>;
auto& once_live = *new std::set<const void*>;  // addresses of all allocations so far
auto& pinned = *new std::map<std::byte*, std::size_t>;

/// Memory of graphs that have been launched, kept until it is trimmed after their end.
struct GraphMemory {
    std::weak_ptr<CUgraph_st::OwnMemory> memory;  ///< ends with the last graph that has it
    std::size_t bytes;
};
auto& graph_memory = *new std::vector<GraphMemory>;

std::size_t used_bytes() {
    std::size_t bytes = 0;
    for (const cudaMemPool_t pool : pools) bytes += pool->bytes.most();
    for (const GraphMemory& graph : graph_memory) bytes += graph.bytes;
    return bytes;
}

std::size_t peak_bytes = 0;  // most used_bytes() since it was taken
void note_peak() { peak_bytes = std::max(peak_bytes, used_bytes()); }

void take_for_graph(const std::shared_ptr<CUgraph_st::OwnMemory>& memory) {
    const auto same = [&](const GraphMemory& other) { return other.memory.lock() == memory; };
    if (std::ranges::none_of(graph_memory, same)) graph_memory.push_back({memory, memory->bytes.most()});
    note_peak();
}

/// Returns memory of the pool that was freed before the next work of this stream, or null.
std::shared_ptr<Reservation> take_kept(CUmemPoolHandle_st& pool, std::size_t bytes, CUstream_st& stream) {
    const Order order = next_order(stream);
    const auto [first, last] = pool.kept.equal_range(bytes);
    const auto found = std::find_if(first, last, [&](const auto& entry) {
        return is_done(entry.second.freed) || precedes(entry.second.freed, order);
    });
    if (found == last) return nullptr;
    std::shared_ptr<Reservation> reservation = found->second.reservation;
    pool.kept.erase(found);
    return reservation;
}

cudaError_t allocate_in_graph(void** address, std::size_t bytes, CUstream_st& stream) {
    const auto reservation = std::make_shared<Reservation>(bytes);
    *address = reservation->address;
    const auto memory = stream.capture->own_memory;
    memory->blocks[*address] = reservation;
    memory->bytes.add(bytes);
    const auto at_launch = [memory, reservation](const Order&) {
        take_for_graph(memory);
        const bool freed = live_blocks().try_emplace(reservation->address, reservation, nullptr).second;
        once_live.insert(reservation->address);
        return freed ? cudaSuccess : cudaErrorInvalidValue;
    };
    const auto perform = [reservation](const Order& order) {
        if (device_memory().commit(reservation->address, {"cudaGraphLaunch"}))
            begin_allocation(reservation->address, order);
    };
    return enqueue(&stream, {"cudaGraphLaunch", perform}, at_launch);
}

/// Ends an allocation in the order of the calls.
cudaError_t end_block(void* address, const Order& order) {
    const auto found = live_blocks().find(address);
    if (found == live_blocks().end()) {
        // Memory of a capture that has failed has never been allocated; the error is all that its owner gets.
        if (once_live.contains(address))
            report(Fault::freed_memory, "cudaFreeAsync", "frees memory that has been freed", address);
        return cudaErrorInvalidValue;
    }
    auto& [reservation, pool] = found->second;
    if (pools.contains(pool)) {
        pool->kept.emplace(reservation->bytes, CUmemPoolHandle_st::Kept{reservation, order});
        pool->bytes.remove(reservation->bytes);
    }
    live_blocks().erase(found);
    return cudaSuccess;
}

}  // namespace

Reservation::Reservation(std::size_t size) : address(device_memory().reserve(size)), bytes(size) {}
Reservation::~Reservation() { device_memory().withdraw(address); }

std::map<void*, LiveBlock>& live_blocks() {
    static auto& blocks = *new std::map<void*, LiveBlock>;
    return blocks;
}

CudaCounts& cuda_counts() {
    static CudaCounts counts;
    counts.memory = static_cast<int>(live_blocks().size());
    return counts;
}

bool is_pinned(const void* address) {
    const auto* byte = static_cast<const std::byte*>(address);
    return std::ranges::any_of(
        pinned, [&](const auto& block) { return byte >= block.first && byte < block.first + block.second; });
}

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

std::size_t espectra_emulated_take_peak_bytes() {
    const RuntimeLock lock(runtime_mutex);
    return std::exchange(peak_bytes, used_bytes());
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    const RuntimeLock lock(runtime_mutex);
    if (!free || !total) return fail(cudaErrorInvalidValue);
    *total = options().memory;
    *free = options().memory - used_bytes();
    return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
    const RuntimeLock lock(runtime_mutex);
    if (!pool || !properties || properties->allocType != cudaMemAllocationTypePinned ||
        properties->location.type != cudaMemLocationTypeDevice || !has_device(properties->location.id))
        return fail(cudaErrorInvalidValue);
    *pool = new CUmemPoolHandle_st;
    pools.insert(*pool);
    ++cuda_counts().pools;
    return cudaSuccess;
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    const RuntimeLock lock(runtime_mutex);
    if (!pools.erase(pool)) return fail(cudaErrorInvalidValue);
    delete pool;
    --cuda_counts().pools;
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
    const RuntimeLock lock(runtime_mutex);
    if (!pools.contains(pool) || !value) return fail(cudaErrorInvalidValue);
    return attribute == cudaMemPoolAttrReleaseThreshold ? cudaSuccess : fail(cudaErrorNotSupported);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t kept) {
    const RuntimeLock lock(runtime_mutex);
    if (!pools.contains(pool)) return fail(cudaErrorInvalidValue);
    if (kept > 0) return fail(cudaErrorNotSupported);
    std::erase_if(pool->kept, [](const auto& entry) { return is_done(entry.second.freed); });
    pool->bytes.trim();
    return cudaSuccess;
}

// Memory of graphs that still exist is not trimmed.
cudaError_t cudaDeviceGraphMemTrim(int device) {
    const RuntimeLock lock(runtime_mutex);
    if (!has_device(device)) return fail(cudaErrorInvalidDevice);
    std::erase_if(graph_memory, [](const GraphMemory& graph) { return graph.memory.expired(); });
    return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void** address, std::size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t handle) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (!address || bytes == 0 || !pools.contains(pool)) return fail(cudaErrorInvalidValue);
    if (stream->capture) return allocate_in_graph(address, bytes, *stream);
    if (pool->bytes.growth(bytes) > options().memory - used_bytes()) return fail(cudaErrorMemoryAllocation);
    std::shared_ptr<Reservation> reservation = take_kept(*pool, bytes, *stream);
    const bool fresh = !reservation;
    if (fresh) reservation = std::make_shared<Reservation>(bytes);
    pool->bytes.add(bytes);
    note_peak();
    *address = reservation->address;
    live_blocks()[*address] = {reservation, pool};
    once_live.insert(*address);
    const auto begin = [reservation](const Order& order) {
        if (device_memory().commit(reservation->address, {"cudaMallocFromPoolAsync"}))
            begin_allocation(reservation->address, order);
    };
    // Memory that no other work can know of is allocated at once, so that work of other streams that is done
    // too early is found by its order.
    if (fresh) begin(next_order(*stream));
    return enqueue(handle, {"cudaMallocFromPoolAsync", [fresh, begin](const Order& order) {
                                if (!fresh) begin(order);
                            }});
}

cudaError_t cudaFreeAsync(void* address, cudaStream_t handle) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    std::shared_ptr<Reservation> reservation;
    if (stream->capture) {
        CUgraph_st::OwnMemory& own = *stream->capture->own_memory;
        const auto found = own.blocks.find(address);
        if (found == own.blocks.end()) {
            stream->capture_broken = true;
            return fail(cudaErrorInvalidValue);
        }
        reservation = found->second;
        own.blocks.erase(found);
        own.bytes.remove(reservation->bytes);
    } else if (const auto found = live_blocks().find(address); found != live_blocks().end()) {
        reservation = found->second.reservation;
    }
    return enqueue(handle,
                   {"cudaFreeAsync",
                    [address, reservation](const Order& order) {
                        end_allocation(address, "cudaFreeAsync", order);
                        device_memory().release(address, {"cudaFreeAsync"});
                    }},
                   [address](const Order& order) { return end_block(address, order); });
}

cudaError_t cudaMallocHost(void** address, std::size_t bytes) {
    const RuntimeLock lock(runtime_mutex);
    if (breaks_capture_of_this_thread()) return fail(cudaErrorStreamCaptureUnsupported);
    if (!address) return fail(cudaErrorInvalidValue);
    auto* memory = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{4096}, std::nothrow));
    if (!memory) return fail(cudaErrorMemoryAllocation);
    std::memset(memory, host_poison, bytes);
    pinned[memory] = bytes;
    *address = memory;
    ++cuda_counts().pinned;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void* address) {
    const RuntimeLock lock(runtime_mutex);
    const auto found = pinned.find(static_cast<std::byte*>(address));
    if (found == pinned.end()) return fail(cudaErrorInvalidValue);
    if (is_queued({found->first, found->second})) {
        report(Fault::stream_order, "cudaFreeHost", "frees memory that a copy still uses", address);
        wait_for_all_streams();
    }
    ::operator delete (address, std::align_val_t{4096});
    pinned.erase(found);
    --cuda_counts().pinned;
    return cudaSuccess;
}

}  // extern "C"
