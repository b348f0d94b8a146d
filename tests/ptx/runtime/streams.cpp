#include "ptx/runtime/streams.hpp"

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/options.hpp"
#include "ptx/runtime/uses.hpp"
#include <algorithm>
#include <set>
#include <utility>

namespace espectra::ptx {

namespace {

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t fault = cudaSuccess;  // of a kernel, which all calls that wait report

// Never destroyed, as calls may come from destructors of static objects.
auto& streams = *new std::map<StreamId, CUstream_st*>;
auto& handles = *new std::set<cudaStream_t>;
StreamId last_id = 0;
CUstream_st* default_stream = nullptr;

/// The last work of each stream that the host has waited for.
Clock host;
std::uint64_t host_version = 0;

void merge(Clock& into, const Clock& other) {
    for (const auto& [stream, position] : other) {
        if (!streams.contains(stream)) continue;
        std::uint64_t& known = into[stream];
        known = std::max(known, position);
    }
}

/// Adds what `order` follows, and itself, to a clock.
void merge(Clock& into, const Order& order) {
    merge(into, *order.before);
    merge(into, Clock{{order.stream, order.position}});
}

CUstream_st* add_stream() {
    auto* stream = new CUstream_st;
    stream->id = ++last_id;
    streams[stream->id] = stream;
    return stream;
}

void perform(CUstream_st::Queued&& queued) {
    queued.work.perform(queued.order);
    check_uses(queued.work.call, queued.order);
}

/// Does the work of a stream up to a position, each after the events that it waits for.
void advance(CUstream_st& stream, std::uint64_t position) {
    while (stream.done < position) {
        CUstream_st::Queued next = std::move(stream.queue.front());
        stream.queue.pop_front();
        if (next.awaited && !next.awaited->done) advance(*next.awaited->stream, next.awaited->order.position);
        stream.done = next.order.position;
        perform(std::move(next));
    }
}

/// Does all work of other streams that does not depend on undone work of this one.
void advance_others(const CUstream_st& stream) {
    for (bool progress = true; std::exchange(progress, false);)
        for (const auto& [id, other] : streams)
            while (other != &stream && !other->queue.empty()) {
                const auto& awaited = other->queue.front().awaited;
                if (awaited && !awaited->done) break;
                advance(*other, other->queue.front().order.position);
                progress = true;
            }
}

/// Notes that the host has waited for work that is done.
void host_waited_for(const Order& order) {
    merge(host, order);
    ++host_version;
}

/// Does work of a stream that the host waits for.
void wait_for(CUstream_st& stream, const Order& order) {
    if (options().streams == StreamOrder::others_first) advance_others(stream);
    advance(stream, order.position);
    host_waited_for(order);
}

}  // namespace

cudaError_t fail(cudaError_t error) { return last_error = error; }

bool precedes(const Order& earlier, const Order& later) {
    if (earlier.stream == later.stream) return earlier.position <= later.position;
    if (!streams.contains(earlier.stream)) return true;
    const auto known = later.before->find(earlier.stream);
    return known != later.before->end() && known->second >= earlier.position;
}

std::string name_of_stream(StreamId stream) {
    return default_stream && stream == default_stream->id ? "the default stream"
                                                          : "stream " + std::to_string(stream);
}

CUstream_st* find_stream(cudaStream_t handle) {
    if (handle) return handles.contains(handle) ? handle : nullptr;
    if (!default_stream) default_stream = add_stream();
    return default_stream;
}

Order next_order(CUstream_st& stream) {
    if (stream.host_version != host_version) {
        Clock before = *stream.before;
        merge(before, host);
        stream.before = std::make_shared<Clock>(std::move(before));
        stream.host_version = host_version;
    }
    return {stream.id, stream.given + 1, stream.before};
}

bool is_done(const Order& order) {
    const auto stream = streams.find(order.stream);
    return stream == streams.end() || stream->second->done >= order.position;
}

cudaError_t enqueue(cudaStream_t handle, Work work,
                    const std::function<cudaError_t(const Order&)>& at_launch) {
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (stream->capture) {
        if (stream->capture_broken) return fail(cudaErrorStreamCaptureInvalidated);
        stream->capture->nodes.push_back({at_launch, std::move(work)});
        return cudaSuccess;
    }
    Order order = next_order(*stream);
    if (at_launch)
        if (const cudaError_t status = at_launch(order); status != cudaSuccess) return fail(status);
    stream->given = order.position;
    stream->queue.push_back({std::move(work), std::move(order), nullptr});
    return cudaSuccess;
}

void wait_for(CUstream_st& stream) { wait_for(stream, {stream.id, stream.given, next_order(stream).before}); }

void wait_for_all_streams() {
    for (const auto& [id, stream] : streams) wait_for(*stream);
}

bool breaks_capture_of(CUstream_st& stream) {
    if (stream.capture) stream.capture_broken = true;
    return stream.capture != nullptr;
}

bool breaks_capture_of_this_thread() {
    bool breaks = false;
    for (const auto& [id, stream] : streams)
        if (stream->capturing_thread == std::this_thread::get_id()) breaks |= breaks_capture_of(*stream);
    return breaks;
}

bool breaks_any_capture() {
    bool breaks = false;
    for (const auto& [id, stream] : streams) breaks |= breaks_capture_of(*stream);
    return breaks;
}

bool is_queued(const HostRange& range) {
    const auto overlaps = [&](const HostRange& other) {
        return other.begin < range.begin + range.bytes && range.begin < other.begin + other.bytes;
    };
    return std::ranges::any_of(streams, [&](const auto& entry) {
        return std::ranges::any_of(entry.second->queue, [&](const CUstream_st::Queued& queued) {
            return std::ranges::any_of(queued.work.host, overlaps);
        });
    });
}

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

void espectra_emulated_set_fault(cudaError_t error) {
    const RuntimeLock lock(runtime_mutex);
    fault = error;
}

cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

// Only streams without implicit waits for the default stream are emulated.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    const RuntimeLock lock(runtime_mutex);
    if (breaks_capture_of_this_thread()) return fail(cudaErrorStreamCaptureUnsupported);
    if (!stream) return fail(cudaErrorInvalidValue);
    if (flags != cudaStreamNonBlocking) return fail(cudaErrorNotSupported);
    *stream = add_stream();
    handles.insert(*stream);
    ++cuda_counts().streams;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.erase(stream)) return fail(cudaErrorInvalidResourceHandle);
    wait_for(*stream);
    streams.erase(stream->id);
    host.erase(stream->id);
    delete stream;
    --cuda_counts().streams;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (breaks_capture_of(*stream)) return fail(cudaErrorStreamCaptureUnsupported);
    wait_for(*stream);
    return fault == cudaSuccess ? cudaSuccess : fail(fault);
}

cudaError_t cudaDeviceSynchronize() {
    const RuntimeLock lock(runtime_mutex);
    if (breaks_any_capture()) return fail(cudaErrorStreamCaptureUnsupported);
    wait_for_all_streams();
    return fault == cudaSuccess ? cudaSuccess : fail(fault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    const RuntimeLock lock(runtime_mutex);
    if (!event) return fail(cudaErrorInvalidValue);
    *event = new CUevent_st;
    (*event)->timed = (flags & cudaEventDisableTiming) == 0;
    ++cuda_counts().events;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const RuntimeLock lock(runtime_mutex);
    if (!event) return fail(cudaErrorInvalidResourceHandle);
    delete event;
    --cuda_counts().events;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!event || !stream) return fail(cudaErrorInvalidResourceHandle);
    event->record = nullptr;
    event->captured = stream->capture;
    event->in_capture = stream->capture != nullptr;
    if (event->in_capture) return cudaSuccess;
    event->record = std::make_shared<EventRecord>(EventRecord{stream, next_order(*stream), false, {}});
    return enqueue(handle, {"cudaEventRecord", [record = event->record](const Order&) {
                                record->done = true;
                                record->time = std::chrono::steady_clock::now();
                            }});
}

// A stream that waits for an event of a capture would join it, which is not emulated.
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned /*flags*/) {
    const RuntimeLock lock(runtime_mutex);
    CUstream_st* stream = find_stream(handle);
    if (!event || !stream) return fail(cudaErrorInvalidResourceHandle);
    if (event->in_capture || stream->capture) {
        if (event->in_capture && event->captured.lock() == stream->capture) return cudaSuccess;
        return fail(cudaErrorStreamCaptureIsolation);
    }
    if (!event->record) return cudaSuccess;
    Order order = next_order(*stream);
    Clock before = *order.before;
    merge(before, event->record->order);
    stream->before = order.before = std::make_shared<Clock>(std::move(before));
    stream->given = order.position;
    stream->queue.push_back({{"cudaStreamWaitEvent", [](const Order&) {}}, order, event->record});
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const RuntimeLock lock(runtime_mutex);
    if (!event) return fail(cudaErrorInvalidResourceHandle);
    if (event->in_capture) {
        breaks_any_capture();
        return fail(cudaErrorCapturedEvent);
    }
    if (!event->record) return cudaSuccess;
    if (event->record->done)
        host_waited_for(event->record->order);
    else
        wait_for(*event->record->stream, event->record->order);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    const RuntimeLock lock(runtime_mutex);
    if (!milliseconds) return fail(cudaErrorInvalidValue);
    for (const CUevent_st* event : {start, end})
        if (!event || !event->timed || !event->record) return fail(cudaErrorInvalidResourceHandle);
    if (!start->record->done || !end->record->done) return fail(cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(end->record->time - start->record->time).count();
    return cudaSuccess;
}

}  // extern "C"
