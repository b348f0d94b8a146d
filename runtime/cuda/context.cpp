#include "espectra/runtime/cuda/context.hpp"

#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/device.hpp"
#include "espectra/runtime/cuda/range.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

namespace {

/// Held during a capture, and while contexts, handles, pinned memory and graphs are created or destroyed:
/// such calls of other threads can end a capture. It is taken before the mutex of a context. Recursive,
/// because a context creates its handles while it is used.
std::recursive_mutex capture_mutex;

/// Returns true for errors of a capture that was ended by a call which no graph can hold; that may have been
/// a call of another thread.
bool ends_capture(cudaError_t status) {
    return status == cudaErrorStreamCaptureUnsupported || status == cudaErrorStreamCaptureInvalidated ||
           status == cudaErrorStreamCaptureImplicit;
}

/// Most captures of the same work in a row of which a call was refused in the capturing thread.
constexpr int most_refusals = 2;

/// The workspace that cuBLAS recommends: 32 MiB from compute capability 9 on, 4 MiB before.
std::size_t cublas_workspace_bytes(int device) {
    int major = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    return std::size_t{major >= 9 ? 32u : 4u} << 20;
}

}  // namespace

struct CudaContext::State {
    int device = 0;
    cudaStream_t stream = nullptr;
    cudaMemPool_t pool = nullptr;
    cublasHandle_t cublas = nullptr;
    void* cublas_workspace = nullptr;
    cusolverDnHandle_t cusolver = nullptr;
    void* pinned = nullptr;      // staging for fetch() and send()
    cudaEvent_t sent = nullptr;  // send() no longer reads it
    static constexpr std::size_t pinned_bytes = std::size_t{1} << 20;

    // Held while the stream is captured, so that operations of other threads do not enter the recording.
    // Recursive because the capturing thread takes it too.
    std::recursive_mutex mutex;
    bool capturing = false;
    std::vector<void*> captured;          // allocated in this capture, not yet freed in it
    std::vector<void*> freed_afterwards;  // from before the capture

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    ~State() {
        const std::lock_guard lock(capture_mutex);
        cudaSetDevice(device);
        if (stream) cudaStreamSynchronize(stream);  // its work may read buffers of other contexts
        if (sent) cudaEventDestroy(sent);
        if (pinned) cudaFreeHost(pinned);
        if (cusolver) cusolverDnDestroy(cusolver);
        if (cublas) cublasDestroy(cublas);
        if (cublas_workspace) cudaFreeAsync(cublas_workspace, stream);
        if (stream) cudaStreamSynchronize(stream);
        if (pool) cudaMemPoolDestroy(pool);
        if (stream) cudaStreamDestroy(stream);
    }
};

CudaContext::CudaContext(int device) : state_(std::make_unique<State>()) {
    const std::lock_guard lock(capture_mutex);
    state_->device = device;
    check(cudaSetDevice(device));
    check(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking));
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.handleTypes = cudaMemHandleTypeNone;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    check(cudaMemPoolCreate(&state_->pool, &properties));
    // Memory is kept from one batch to the next, until the context is destroyed or allocate() needs it.
    std::uint64_t kept = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(state_->pool, cudaMemPoolAttrReleaseThreshold, &kept));
}

CudaContext::CudaContext(CudaContext&&) noexcept = default;
CudaContext& CudaContext::operator=(CudaContext&&) noexcept = default;
CudaContext::~CudaContext() = default;

int CudaContext::device() const noexcept { return state_->device; }

void CudaContext::activate() const { check(cudaSetDevice(state_->device)); }

void* CudaContext::stream() const {
    activate();
    return state_->stream;
}

void* CudaContext::cublas() {
    activate();
    const std::lock_guard lock(capture_mutex);
    if (!state_->cublas) {
        cublasHandle_t created = nullptr;
        check(cublasCreate(&created));
        state_->cublas = created;
        check(cublasSetStream(state_->cublas, state_->stream));
        // A workspace of its own, set after the stream, which would reset it: results are reproducible, and
        // nothing is allocated in a capture. Float64 is not emulated, and sums have an order.
        const std::size_t bytes = cublas_workspace_bytes(state_->device);
        state_->cublas_workspace = allocate(bytes);
        check(cublasSetWorkspace(state_->cublas, state_->cublas_workspace, bytes));
        check(cublasSetMathMode(state_->cublas, CUBLAS_DEFAULT_MATH));
        check(cublasSetAtomicsMode(state_->cublas, CUBLAS_ATOMICS_NOT_ALLOWED));
    }
    return state_->cublas;
}

void* CudaContext::cusolver() {
    activate();
    const std::lock_guard lock(capture_mutex);
    if (!state_->cusolver) {
        cusolverDnHandle_t created = nullptr;  // not null after a failure either
        check(cusolverDnCreate(&created));
        state_->cusolver = created;
        check(cusolverDnSetStream(state_->cusolver, state_->stream));
        check(cusolverDnSetDeterministicMode(state_->cusolver, CUSOLVER_DETERMINISTIC_RESULTS));
        check(cusolverDnSetMathMode(state_->cusolver, CUSOLVER_DEFAULT_MATH));
    }
    return state_->cusolver;
}

void CudaContext::synchronize() {
    activate();
    check(cudaStreamSynchronize(state_->stream));
}

CudaContext::Event CudaContext::record() {
    activate();
    const std::lock_guard lock(state_->mutex);
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    Event owner(event, [](void* ended) { cudaEventDestroy(static_cast<cudaEvent_t>(ended)); });
    check(cudaEventRecord(event, state_->stream));
    return owner;
}

void CudaContext::wait_for(const Event& event) {
    activate();
    const std::lock_guard lock(state_->mutex);
    check(cudaStreamWaitEvent(state_->stream, static_cast<cudaEvent_t>(event.get()), 0));
}

void* CudaContext::allocate(std::size_t bytes) {
    activate();
    void* memory = nullptr;
    const auto try_again = [&] {
        const std::lock_guard lock(state_->mutex);
        const cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes, state_->pool, state_->stream);
        if (status == cudaSuccess && state_->capturing) state_->captured.push_back(memory);
        return status;
    };
    cudaError_t status = try_again();
    if (status == cudaErrorMemoryAllocation && !state_->capturing) {
        // The memory that this pool and graphs keep may be in pieces that are too small.
        const std::lock_guard lock(capture_mutex);
        cudaGetLastError();
        check(cudaStreamSynchronize(state_->stream));
        check(cudaMemPoolTrimTo(state_->pool, 0));
        check(cudaDeviceGraphMemTrim(state_->device));
        status = try_again();
    }
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        std::size_t available = 0, total = 0;
        check(cudaMemGetInfo(&available, &total));
        throw ResourceError(fmt::format("device memory: needs {:.3f} GB, {:.3f} GB free",
                                        static_cast<double>(bytes) / 1e9,
                                        static_cast<double>(available) / 1e9));
    }
    check(status);
    return memory;
}

void CudaContext::free(void* memory) noexcept {
    cudaSetDevice(state_->device);
    const std::lock_guard lock(state_->mutex);
    if (state_->capturing && std::erase(state_->captured, memory) == 0) {
        state_->freed_afterwards.push_back(memory);
        return;
    }
    if (cudaFreeAsync(memory, state_->stream) != cudaSuccess)
        cudaGetLastError();  // so that the next call does not report it
}

void* CudaContext::staging() {
    activate();
    State& state = *state_;
    if (!state.pinned) {
        const std::lock_guard lock(capture_mutex);
        check(cudaEventCreateWithFlags(&state.sent, cudaEventDisableTiming));
        check(cudaMallocHost(&state.pinned, State::pinned_bytes));
    }
    return state.pinned;
}

void CudaContext::fetch(const void* source, void* destination, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
        const std::size_t part = std::min(bytes - done, State::pinned_bytes);
        check(cudaMemcpyAsync(staging(), static_cast<const std::byte*>(source) + done, part,
                              cudaMemcpyDeviceToHost, state_->stream));
        check(cudaStreamSynchronize(state_->stream));
        std::memcpy(static_cast<std::byte*>(destination) + done, state_->pinned, part);
        done += part;
    }
}

void CudaContext::fetch_rows(const void* source, std::size_t distance, void* destination, std::size_t bytes,
                             std::size_t rows) {
    if (bytes == 0 || bytes == distance) return fetch(source, destination, bytes * rows);
    const std::size_t at_once = State::pinned_bytes / bytes;
    for (std::size_t done = 0; done < rows;) {
        const auto* from = static_cast<const std::byte*>(source) + done * distance;
        auto* to = static_cast<std::byte*>(destination) + done * bytes;
        const std::size_t here = std::min(rows - done, std::max<std::size_t>(at_once, 1));
        if (at_once == 0) {
            fetch(from, to, bytes);
        } else {
            check(cudaMemcpy2DAsync(staging(), bytes, from, distance, bytes, here, cudaMemcpyDeviceToHost,
                                    state_->stream));
            check(cudaStreamSynchronize(state_->stream));
            std::memcpy(to, state_->pinned, here * bytes);
        }
        done += here;
    }
}

void CudaContext::send(const void* source, void* destination, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
        const std::size_t part = std::min(bytes - done, State::pinned_bytes);
        void* pinned = staging();
        check(cudaEventSynchronize(state_->sent));
        std::memcpy(pinned, static_cast<const std::byte*>(source) + done, part);
        check(cudaMemcpyAsync(static_cast<std::byte*>(destination) + done, pinned, part,
                              cudaMemcpyHostToDevice, state_->stream));
        check(cudaEventRecord(state_->sent, state_->stream));
        done += part;
    }
}

bool CudaContext::capturing() const noexcept { return state_->capturing; }

CudaContext::Recording::~Recording() {
    if (!graph_) return;
    const std::lock_guard lock(capture_mutex);
    cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph_));
    cudaDeviceGraphMemTrim(device_);  // memory of graphs is kept otherwise, even from the pools
}

void CudaContext::capture(Recording& recording, const std::function<void()>& work) {
    State& state = *state_;
    const std::lock_guard alone(capture_mutex);
    const std::lock_guard lock(state.mutex);
    // Other threads are not restricted meanwhile; this one may do nothing that a graph cannot hold.
    check(cudaStreamBeginCapture(state.stream, cudaStreamCaptureModeThreadLocal));
    state.capturing = true;
    state.captured.clear();
    std::exception_ptr failure;
    bool of_device = true, refused = false;
    try {
        work();
    } catch (const CudaError& error) {
        failure = std::current_exception();
        refused = error.status() == cudaErrorStreamCaptureUnsupported;
    } catch (const ResourceError&) {  // of a library
        failure = std::current_exception();
    } catch (...) {
        failure = std::current_exception();
        of_device = false;
    }
    cudaGraph_t graph = nullptr;
    cudaError_t status = cudaStreamEndCapture(state.stream, &graph);
    state.capturing = false;
    for (void* memory : std::exchange(state.freed_afterwards, {})) cudaFreeAsync(memory, state.stream);
    // Memory that outlived the capture would be allocated again at every launch.
    const bool leaves_memory = !state.captured.empty();
    cudaGraphExec_t executable = nullptr;
    if (status == cudaSuccess && !failure && !leaves_memory)
        status = cudaGraphInstantiate(&executable, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    recording.graph_ = executable;
    recording.device_ = state.device;
    if (executable) return;
    cudaGetLastError();  // clears the error of the call that ended the capture
    if (ends_capture(status) && of_device) {
        recording.refusals_ = refused ? recording.refusals_ + 1 : 0;
        if (recording.refusals_ < most_refusals) return;
    }
    if (failure) std::rethrow_exception(failure);
    check(status);
    throw std::logic_error("repeat: the work keeps device memory that it allocates");
}

void repeat(CudaContext& context, CudaContext::Recording& recording, std::int64_t times,
            const std::function<void()>& work) {
    const auto stream = static_cast<cudaStream_t>(context.stream());
    for (; times > 0; --times) {
        if (recording.prepared_ && !recording.graph_) context.capture(recording, work);
        if (recording.graph_)
            check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording.graph_), stream));
        else
            work();
        recording.prepared_ = true;
    }
}

NvtxRange::NvtxRange(const char* name) { nvtxRangePushA(name); }
NvtxRange::~NvtxRange() { nvtxRangePop(); }

void copy_bytes(CudaContext& context, const void* source, void* destination, std::size_t bytes) {
    check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDefault,
                          static_cast<cudaStream_t>(context.stream())));
}

}  // namespace espectra
