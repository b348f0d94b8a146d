// A stand-in for the CUDA runtime library in host memory, on which runtime/cuda runs without a device. Work
// of a stream is done at once, and these rules of the CUDA runtime hold:
//  - the work of a captured stream is recorded and not done, in any thread;
//  - memory that is allocated in a capture belongs to the graph, and only such memory may be freed in it;
//  memory
//    that a launch has allocated has to be freed before the next launch;
//  - waiting for a captured stream, and calls that are not ordered on a stream, fail in the thread that
//  captures
//    and end the capture;
//  - an event of a captured stream cannot be waited for outside;
//  - an error of a call stays the last error until it is read.
// In addition it counts the resources that have not been released.

#include <cuda_runtime_api.h>

#include "ptx/runtime/counts.hpp"
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

struct CUmemPoolHandle_st {
    int unused = 0;
};
struct CUgraph_st {
    std::vector<std::function<cudaError_t()>> nodes;
    std::set<void*> owned;  // memory of this graph
};
struct CUgraphExec_st {
    std::shared_ptr<CUgraph_st> graph;
};
struct CUevent_st {
    CUgraph_st* captured = nullptr;
};
struct CUstream_st {
    std::shared_ptr<CUgraph_st> capture;  // while captured
    std::thread::id thread;               // that captures
    bool broken = false;
};

namespace {

constexpr std::size_t device_bytes = std::size_t{1} << 36;
std::recursive_mutex mutex;
espectra::test::CudaCounts counts;
std::map<void*, std::size_t> memory;     // of pools, and of graphs while a launch has allocated it
std::multimap<std::size_t, void*> kept;  // freed and kept by a pool
std::set<void*> graph_memory;
std::set<CUstream_st*> streams;
thread_local cudaError_t last_error = cudaSuccess;

using Lock = std::lock_guard<std::recursive_mutex>;

cudaError_t fail(cudaError_t error) { return last_error = error; }

/// A call that no graph can hold.
bool breaks_capture_of_this_thread() {
    bool breaks = false;
    for (CUstream_st* stream : streams)
        if (stream->capture && stream->thread == std::this_thread::get_id()) stream->broken = breaks = true;
    return breaks;
}

/// Records the work of a captured stream, else does it.
cudaError_t give(cudaStream_t stream, std::function<cudaError_t()> work) {
    if (stream->capture) {
        stream->capture->nodes.push_back(std::move(work));
        return cudaSuccess;
    }
    const cudaError_t status = work();
    return status == cudaSuccess ? status : fail(status);
}

cudaError_t take_back(void* address) {
    const auto found = memory.find(address);
    if (found == memory.end()) return cudaErrorInvalidValue;
    if (!graph_memory.contains(address)) kept.emplace(found->second, address);
    memory.erase(found);
    return cudaSuccess;
}

}  // namespace

namespace espectra::test {
CudaCounts cuda_counts() {
    const Lock lock(mutex);
    CudaCounts now = counts;
    now.memory = static_cast<int>(memory.size());
    return now;
}
}  // namespace espectra::test

extern "C" {

const char* cudaGetErrorName(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory" : "an error";
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice); }
cudaError_t cudaDriverGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr /*attribute*/, int /*device*/) {
    *value = 9;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int /*device*/) {
    std::memset(properties, 0, sizeof(*properties));
    std::strcpy(properties->name, "stand-in");
    properties->major = 9;
    properties->multiProcessorCount = 1;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    const Lock lock(mutex);
    *total = *free = device_bytes;
    for (const auto& [address, bytes] : memory) *free -= bytes;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
    const Lock lock(mutex);
    if (breaks_capture_of_this_thread()) return fail(cudaErrorStreamCaptureUnsupported);
    *stream = new CUstream_st;
    streams.insert(*stream);
    ++counts.streams;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const Lock lock(mutex);
    streams.erase(stream);
    delete stream;
    --counts.streams;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const Lock lock(mutex);
    if (!stream->capture) return cudaSuccess;
    stream->broken = true;
    return fail(cudaErrorStreamCaptureUnsupported);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned /*flags*/) {
    const Lock lock(mutex);
    *event = new CUevent_st;
    ++counts.events;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const Lock lock(mutex);
    delete event;
    --counts.events;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const Lock lock(mutex);
    event->captured = stream->capture.get();
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
    const Lock lock(mutex);
    if (event->captured != stream->capture.get()) return fail(cudaErrorStreamCaptureIsolation);
    return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* /*properties*/) {
    const Lock lock(mutex);
    *pool = new CUmemPoolHandle_st;
    ++counts.pools;
    return cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    const Lock lock(mutex);
    delete pool;
    --counts.pools;
    return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t /*pool*/, cudaMemPoolAttr /*attribute*/, void* /*value*/) {
    return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t /*pool*/, std::size_t /*kept*/) { return cudaSuccess; }

cudaError_t cudaMallocFromPoolAsync(void** address, std::size_t bytes, cudaMemPool_t /*pool*/,
                                    cudaStream_t stream) {
    const Lock lock(mutex);
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    if (bytes > free) return fail(cudaErrorMemoryAllocation);
    void* block = nullptr;
    if (const auto found = kept.find(bytes); found != kept.end() && !stream->capture) {
        block = found->second;
        kept.erase(found);
    } else {
        block = std::malloc(bytes);
    }
    *address = block;
    if (stream->capture) {
        stream->capture->owned.insert(block);
        graph_memory.insert(block);
    }
    return give(stream, [block, bytes] {
        return memory.try_emplace(block, bytes).second ? cudaSuccess : cudaErrorInvalidValue;
    });
}
cudaError_t cudaFreeAsync(void* address, cudaStream_t stream) {
    const Lock lock(mutex);
    if (stream->capture && !stream->capture->owned.contains(address)) {
        stream->broken = true;
        return fail(cudaErrorInvalidValue);
    }
    return give(stream, [address] { return take_back(address); });
}
cudaError_t cudaMallocHost(void** address, std::size_t bytes) {
    const Lock lock(mutex);
    if (breaks_capture_of_this_thread()) return fail(cudaErrorStreamCaptureUnsupported);
    *address = std::malloc(bytes);
    ++counts.pinned;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void* address) {
    const Lock lock(mutex);
    std::free(address);
    --counts.pinned;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind /*kind*/,
                            cudaStream_t stream) {
    const Lock lock(mutex);
    return give(stream, [=] {
        if (bytes > 0) std::memmove(target, source, bytes);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode /*mode*/) {
    const Lock lock(mutex);
    if (stream->capture) return fail(cudaErrorIllegalState);
    stream->capture = std::make_shared<CUgraph_st>();
    stream->thread = std::this_thread::get_id();
    stream->broken = false;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    const Lock lock(mutex);
    const auto captured = std::exchange(stream->capture, nullptr);
    *graph = nullptr;
    if (stream->broken) return fail(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st(*captured);
    ++counts.graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    const Lock lock(mutex);
    delete graph;
    --counts.graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long /*flags*/) {
    const Lock lock(mutex);
    *executable = new CUgraphExec_st{std::make_shared<CUgraph_st>(*graph)};
    ++counts.graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    const Lock lock(mutex);
    delete executable;
    --counts.graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t /*stream*/) {
    const Lock lock(mutex);
    ++counts.launches;
    for (const auto& node : executable->graph->nodes)
        if (const cudaError_t status = node(); status != cudaSuccess) return fail(status);
    return cudaSuccess;
}

}  // extern "C"
