// Copies and fills. The host's side is read or written when the work is done, except for pageable memory: a
// copy from it takes the bytes at once, a copy to it returns when it is done (CUDA Runtime API, "API
// synchronization behavior").

#include "ptx/runtime/memory.hpp"
#include "ptx/runtime/uses.hpp"
#include <cstring>

namespace espectra::ptx {

namespace {

/// Rows of bytes whose begins are a pitch apart.
struct Rows {
    void* target;
    std::size_t target_pitch;
    const void* source;
    std::size_t source_pitch;
    std::size_t bytes, count;
};

HostRange range_of(const void* begin, std::size_t pitch, const Rows& rows) {
    return {static_cast<const std::byte*>(begin), (rows.count - 1) * pitch + rows.bytes};
}

bool fits(cudaMemcpyKind kind, bool from_device, bool to_device) {
    switch (kind) {
        case cudaMemcpyHostToHost:
            return !from_device && !to_device;
        case cudaMemcpyHostToDevice:
            return !from_device && to_device;
        case cudaMemcpyDeviceToHost:
            return from_device && !to_device;
        case cudaMemcpyDeviceToDevice:
            return from_device && to_device;
        case cudaMemcpyDefault:
            return true;
    }
    return false;
}

void perform(const Rows& rows, const std::string& call) {
    device_memory().copy_rows(rows.target, rows.target_pitch, rows.source, rows.source_pitch, rows.bytes,
                              rows.count, {call});
}

cudaError_t copy(const char* call, Rows rows, cudaMemcpyKind kind, cudaStream_t handle, bool blocking) {
    CUstream_st* stream = find_stream(handle);
    if (!stream) return fail(cudaErrorInvalidResourceHandle);
    if (rows.target_pitch < rows.bytes || rows.source_pitch < rows.bytes)
        return fail(cudaErrorInvalidPitchValue);
    if (rows.bytes == 0 || rows.count == 0) return cudaSuccess;
    if (!rows.target || !rows.source) return fail(cudaErrorInvalidValue);
    const bool from_device = device_memory().is_device(rows.source),
               to_device = device_memory().is_device(rows.target);
    if (!fits(kind, from_device, to_device)) return fail(cudaErrorInvalidMemcpyDirection);
    const bool from_pageable = !from_device && !is_pinned(rows.source),
               to_pageable = !to_device && !is_pinned(rows.target);
    // Nothing that involves pageable memory is left to the launches of a graph.
    if ((blocking || from_pageable || to_pageable) && breaks_capture_of(*stream))
        return fail(cudaErrorStreamCaptureUnsupported);
    const HostRange source = range_of(rows.source, rows.source_pitch, rows),
                    target = range_of(rows.target, rows.target_pitch, rows);
    Work work{call, {}};
    if (from_pageable) {
        std::vector<std::byte> staged(source.begin, source.begin + source.bytes);
        work.perform = [rows, call, staged = std::move(staged)](const Order&) mutable {
            rows.source = staged.data();
            perform(rows, call);
        };
    } else {
        work.perform = [rows, call](const Order&) { perform(rows, call); };
        if (!from_device) work.host.push_back(source);
    }
    if (!to_device) {
        // The host sees that it has not waited.
        if (!stream->capture && !is_queued(target))
            for (std::size_t row = 0; row < rows.count; ++row)
                std::memset(static_cast<std::byte*>(rows.target) + row * rows.target_pitch, host_poison,
                            rows.bytes);
        work.host.push_back(target);
    }
    const cudaError_t status = enqueue(handle, std::move(work));
    if (status == cudaSuccess && (to_pageable || (blocking && !(from_device && to_device))))
        wait_for(*stream);
    return status;
}

cudaError_t fill(const char* call, void* target, int value, std::size_t bytes, cudaStream_t handle) {
    if (!find_stream(handle)) return fail(cudaErrorInvalidResourceHandle);
    if (bytes == 0) return cudaSuccess;
    if (!device_memory().is_device(target)) return fail(cudaErrorInvalidValue);
    return enqueue(handle, {call, [=](const Order&) {
                                device_memory().fill(target, static_cast<unsigned char>(value), bytes,
                                                     {call});
                            }});
}

}  // namespace

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    return copy("cudaMemcpyAsync", {target, bytes, source, bytes, bytes, 1}, kind, stream, false);
}

cudaError_t cudaMemcpy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) {
    const RuntimeLock lock(runtime_mutex);
    return copy("cudaMemcpy", {target, bytes, source, bytes, bytes, 1}, kind, nullptr, true);
}

cudaError_t cudaMemcpy2DAsync(void* target, std::size_t target_pitch, const void* source,
                              std::size_t source_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    return copy("cudaMemcpy2DAsync", {target, target_pitch, source, source_pitch, width, height}, kind,
                stream, false);
}

cudaError_t cudaMemcpy2D(void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
    const RuntimeLock lock(runtime_mutex);
    return copy("cudaMemcpy2D", {target, target_pitch, source, source_pitch, width, height}, kind, nullptr,
                true);
}

cudaError_t cudaMemsetAsync(void* target, int value, std::size_t bytes, cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    return fill("cudaMemsetAsync", target, value, bytes, stream);
}

cudaError_t cudaMemset(void* target, int value, std::size_t bytes) {
    const RuntimeLock lock(runtime_mutex);
    return fill("cudaMemset", target, value, bytes, nullptr);
}

}  // extern "C"
