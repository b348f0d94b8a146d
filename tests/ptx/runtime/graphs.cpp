// Graphs by stream capture. Work of a captured stream is recorded and not done, whichever thread gives it.
// Memory that is allocated in a capture belongs to the graph, and only such memory may be freed in it; what a
// launch has allocated has to be freed before the next launch. Waiting for a captured stream, and calls that
// are not ordered on a stream, fail in the thread that captures and end the capture.

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/memory.hpp"
#include "ptx/runtime/uses.hpp"
#include <set>
#include <utility>

struct CUgraphExec_st {
    std::shared_ptr<const CUgraph_st> graph;
};

namespace espectra::ptx {

namespace {

auto& graphs = *new std::set<cudaGraph_t>;
auto& executables = *new std::set<cudaGraphExec_t>;

/// Returns the work of a launch in the order of its stream.
Work work_of(const std::shared_ptr<const CUgraph_st>& graph) {
    Work work{"cudaGraphLaunch", [graph](const Order& order) {
                  for (const CUgraph_st::Node& node : graph->nodes) {
                      node.work.perform(order);
                      check_uses(node.work.call, order);
                  }
              }};
    for (const CUgraph_st::Node& node : graph->nodes)
        work.host.insert(work.host.end(), node.work.host.begin(), node.work.host.end());
    return work;
}

}  // namespace

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (!handle) return fail(cudaErrorStreamCaptureUnsupported);  // the legacy default stream
    if (stream->capture) return fail(cudaErrorIllegalState);
    if (mode != cudaStreamCaptureModeThreadLocal) return fail(cudaErrorNotSupported);
    stream->capture = std::make_shared<CUgraph_st>();
    stream->capture->own_memory = std::make_shared<CUgraph_st::OwnMemory>();
    stream->capturing_thread = std::this_thread::get_id();
    stream->capture_broken = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (!graph) return fail(cudaErrorInvalidValue);
    *graph = nullptr;
    if (!stream->capture) return fail(cudaErrorIllegalState);
    if (stream->capturing_thread != std::this_thread::get_id())
        return fail(cudaErrorStreamCaptureWrongThread);
    const auto captured = std::exchange(stream->capture, nullptr);
    if (stream->capture_broken) return fail(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st(*captured);
    graphs.insert(*graph);
    ++cuda_counts().graphs;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    const RuntimeLock lock(runtime_mutex);
    if (!graphs.erase(graph)) return fail(cudaErrorInvalidValue);
    delete graph;
    --cuda_counts().graphs;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
    const RuntimeLock lock(runtime_mutex);
    if (!executable || !graphs.contains(graph)) return fail(cudaErrorInvalidValue);
    if (flags != 0) return fail(cudaErrorNotSupported);
    *executable = new CUgraphExec_st{std::make_shared<CUgraph_st>(*graph)};
    executables.insert(*executable);
    ++cuda_counts().graphs;
    return cudaSuccess;
}

// Launches that have been queued are done nevertheless.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    const RuntimeLock lock(runtime_mutex);
    if (!executables.erase(executable)) return fail(cudaErrorInvalidValue);
    delete executable;
    --cuda_counts().graphs;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (!executables.contains(executable)) return fail(cudaErrorInvalidValue);
    // A graph within a graph is not emulated.
    if (breaks_capture_of(*stream)) return fail(cudaErrorStreamCaptureUnsupported);
    ++cuda_counts().launches;
    const auto at_launch = [&](const Order& order) {
        for (const CUgraph_st::Node& node : executable->graph->nodes)
            if (node.at_launch)
                if (const cudaError_t status = node.at_launch(order); status != cudaSuccess) return status;
        return cudaSuccess;
    };
    return enqueue(handle, work_of(executable->graph), at_launch);
}

}  // extern "C"
