#pragma once

// The fixture of the tests of the CUDA backend on a device against the CPU backend. Without a device they are
// skipped, or fail with ESPECTRA_REQUIRE_GPU=1. The same tests run in every build on the emulated backend, so
// that they are known to be correct before they run on a device. Those that take long where a device is
// interpreted have a name that begins with Heavy.

#include "espectra/kernels/index_lists.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/skip_without_device.hpp"
#include <memory>
#include <string>
#include <type_traits>

#if ESPECTRA_WITH_CUDA
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#endif

namespace espectra::test {

/// Lengths of lists around the shortest that Thrust makes.
constexpr Index around_long_list[] = {long_list - 1, long_list, long_list + 1};

template <class C>
class Device : public ::testing::Test {
  protected:
    void SetUp() override {
        if constexpr (std::is_same_v<C, EmulatedContext>) {
            context_ = std::make_unique<C>(1);
        } else {
#if ESPECTRA_WITH_CUDA
            if (cuda_problem().empty()) {
                context_ = std::make_unique<C>();
                return;
            }
#endif
            skip_without_device("no CUDA device");
        }
    }

    /// Calls compare(results of work on the CPU backend, results of work on the device).
    template <class Work, class Compare>
    void on_both(Work&& work, Compare&& compare) {
        const auto expected = work(cpu_);
        compare(expected, work(*context_));
    }

    std::unique_ptr<C> context_;
    CpuContext cpu_{2};
};

#if ESPECTRA_WITH_CUDA
using DeviceBackends = ::testing::Types<EmulatedContext, CudaContext>;
#else
using DeviceBackends = ::testing::Types<EmulatedContext>;
#endif

struct DeviceBackendNames {
    template <class C>
    static std::string GetName(int) {
        return std::is_same_v<C, EmulatedContext> ? "Emulated" : "Cuda";
    }
};
TYPED_TEST_SUITE(Device, DeviceBackends, DeviceBackendNames);

}  // namespace espectra::test
