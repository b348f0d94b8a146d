// The emulated device and its attributes.

#include "ptx/runtime/options.hpp"
#include "ptx/runtime/streams.hpp"
#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace espectra::ptx;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice); }

cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned /*flags*/) { return cudaSuccess; }

cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

// Attributes that this project does not ask for are refused, so that none is answered wrongly.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device != 0) return fail(cudaErrorInvalidDevice);
    const DeviceModel& model = *options().device;
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor:
            *value = model.major;
            return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor:
            *value = model.minor;
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
    if (device != 0) return fail(cudaErrorInvalidDevice);
    const DeviceModel& model = *options().device;
    *properties = {};
    std::snprintf(properties->name, sizeof properties->name, "emulated device %s", model.capability);
    properties->major = model.major;
    properties->minor = model.minor;
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
