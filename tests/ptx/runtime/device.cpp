// The emulated devices and their attributes. All have the same memory, so that only one can be used at a
// time.

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/options.hpp"
#include "ptx/runtime/streams.hpp"
#include <cstdio>
#include <vector>

namespace espectra::ptx {

namespace {

std::vector<EmulatedDevice>& devices() {
    static auto& all = *new std::vector<EmulatedDevice>{
        {.major = options().device->major, .minor = options().device->minor}};
    return all;
}

unsigned contexts = 0;  // by device, one bit each
thread_local int present_device = 0;

}  // namespace

bool has_device(int device) { return device >= 0 && device < static_cast<int>(devices().size()); }

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

void espectra_emulated_set_devices(const EmulatedDevice* first, int count) {
    const RuntimeLock lock(runtime_mutex);
    const DeviceModel& model = *options().device;
    devices() = count > 0 ? std::vector(first, first + count)
                          : std::vector{EmulatedDevice{.major = model.major, .minor = model.minor}};
    contexts = 0;
}

unsigned espectra_emulated_contexts() {
    const RuntimeLock lock(runtime_mutex);
    return contexts;
}

cudaError_t cudaGetDeviceCount(int* count) {
    const RuntimeLock lock(runtime_mutex);
    *count = static_cast<int>(devices().size());
    return cudaSuccess;
}

// Makes the context of the device (CUDA Runtime API, "cudaSetDevice", since CUDA 12).
cudaError_t cudaSetDevice(int device) {
    const RuntimeLock lock(runtime_mutex);
    if (!has_device(device)) return fail(cudaErrorInvalidDevice);
    if (devices()[static_cast<std::size_t>(device)].use != EmulatedDevice::Use::shared)
        return fail(cudaErrorDevicesUnavailable);
    contexts |= 1u << device;
    present_device = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
    *device = present_device;
    return cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned /*flags*/) { return cudaSuccess; }

cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

// Attributes that this project does not ask for are refused, so that none is answered wrongly.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    const RuntimeLock lock(runtime_mutex);
    if (!has_device(device)) return fail(cudaErrorInvalidDevice);
    const DeviceModel& model = *options().device;
    const EmulatedDevice& own = devices()[static_cast<std::size_t>(device)];
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor:
            *value = own.major;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor:
            *value = own.minor;
            return cudaSuccess;
        case cudaDevAttrComputeMode:
            *value = own.use == EmulatedDevice::Use::shared       ? cudaComputeModeDefault
                     : own.use == EmulatedDevice::Use::prohibited ? cudaComputeModeProhibited
                                                                  : cudaComputeModeExclusiveProcess;
            return cudaSuccess;
        case cudaDevAttrMultiProcessorCount:
            *value = model.multiprocessors;
            return cudaSuccess;
        case cudaDevAttrMaxThreadsPerMultiProcessor:
            *value = model.threads_per_multiprocessor;
            return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(model.shared_bytes);
            return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
            *value = static_cast<int>(model.shared_bytes_per_multiprocessor);
            return cudaSuccess;
        case cudaDevAttrL2CacheSize:
            *value = model.cache_bytes;
            return cudaSuccess;
        case cudaDevAttrClockRate:
        case cudaDevAttrMemoryClockRate:
            *value = 1'000'000;  // kHz; the emulated device has no clock
            return cudaSuccess;
        default:
            std::fprintf(stderr, "emulated device: attribute %d is not known\n", static_cast<int>(attribute));
            return fail(cudaErrorInvalidValue);
    }
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    const RuntimeLock lock(runtime_mutex);
    if (!has_device(device)) return fail(cudaErrorInvalidDevice);
    const DeviceModel& model = *options().device;
    *properties = {};
    std::snprintf(properties->name, sizeof properties->name, "emulated device %s", model.capability);
    properties->major = devices()[static_cast<std::size_t>(device)].major;
    properties->minor = devices()[static_cast<std::size_t>(device)].minor;
    properties->multiProcessorCount = model.multiprocessors;
    properties->maxThreadsPerBlock = 1024;
    properties->maxThreadsPerMultiProcessor = model.threads_per_multiprocessor;
    properties->warpSize = 32;
    properties->sharedMemPerBlock = 48 * 1024;
    properties->sharedMemPerBlockOptin = model.shared_bytes;
    properties->sharedMemPerMultiprocessor = model.shared_bytes_per_multiprocessor;
    properties->l2CacheSize = model.cache_bytes;
    std::size_t free = 0;
    return cudaMemGetInfo(&free, &properties->totalGlobalMem);
}

}  // extern "C"
