// The functions of CUDA's libraries that this project calls, called without a device as far as that is
// possible. Those that need none have to succeed, with the arguments that the project passes: an option that
// the library refuses shows here, on any machine with the toolkit. Those that need one have to answer that
// there is none. The others are listed, so that a new call is put in one of the three lists.

#include "espectra/kernels/cuda/solver_parameters.cuh"
#include "espectra/runtime/cuda/check.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace espectra {
namespace {

struct Call {
    const char* name;
    std::function<int()> answer;  ///< the status
};

std::vector<Call> calls_without_device() {
    static int value = 0;
    return {
        {"cudaRuntimeGetVersion", [] { return cudaRuntimeGetVersion(&value); }},
        {"cudaDriverGetVersion", [] { return cudaDriverGetVersion(&value); }},  // 0: there is none
        {"cudaGetErrorName", [] { return cudaGetErrorName(cudaErrorNoDevice) == nullptr; }},
        {"cudaGetErrorString", [] { return cudaGetErrorString(cudaErrorNoDevice) == nullptr; }},
        {"cublasGetProperty", [] { return cublasGetProperty(MAJOR_VERSION, &value); }},
        {"cublasGetVersion", [] { return cublasGetVersion(nullptr, &value); }},
        {"cublasGetStatusName", [] { return cublasGetStatusName(CUBLAS_STATUS_ALLOC_FAILED) == nullptr; }},
        {"cublasGetStatusString",
         [] { return cublasGetStatusString(CUBLAS_STATUS_ALLOC_FAILED) == nullptr; }},
        {"cusolverGetProperty", [] { return cusolverGetProperty(PATCH_LEVEL, &value); }},
        {"cusolverGetVersion", [] { return cusolverGetVersion(&value); }},
        // With all options that SolverParameters sets; its constructor throws where one is refused.
        {"cusolverDnCreateParams", [] { return SolverParameters() == nullptr; }},
        {"cusolverDnDestroyParams",
         [] {
             cusolverDnParams_t parameters = nullptr;
             check(cusolverDnCreateParams(&parameters));
             return cusolverDnDestroyParams(parameters);
         }},
    };
}

/// Returns the status of a call that creates an object, which is released again.
template <class Object, class Create, class Release>
auto released(Create create, Release release) {
    Object object{};
    const auto status = create(&object);
    if (status == decltype(status){}) release(object);
    return status;
}

std::vector<Call> calls_that_need_a_device() {
    static int value = 0;
    static std::size_t bytes = 0, more = 0;
    static double number = 0;
    return {
        {"cudaGetDeviceCount", [] { return cudaGetDeviceCount(&value); }},
        {"cudaDeviceGraphMemTrim", [] { return cudaDeviceGraphMemTrim(0); }},
        {"cudaSetDevice", [] { return cudaSetDevice(0); }},
        {"cudaSetDeviceFlags", [] { return cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync); }},
        {"cudaDeviceGetAttribute",
         [] { return cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0); }},
        {"cudaGetDeviceProperties",
         [] {
             cudaDeviceProp properties;
             return cudaGetDeviceProperties(&properties, 0);
         }},
        {"cudaMemGetInfo", [] { return cudaMemGetInfo(&bytes, &more); }},
        {"cudaStreamCreateWithFlags",
         [] {
             return released<cudaStream_t>(
                 [](auto* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking); },
                 cudaStreamDestroy);
         }},
        {"cudaEventCreate",
         [] {
             return released<cudaEvent_t>([](auto* event) { return cudaEventCreate(event); },
                                          cudaEventDestroy);
         }},
        {"cudaEventCreateWithFlags",
         [] {
             return released<cudaEvent_t>(
                 [](auto* event) { return cudaEventCreateWithFlags(event, cudaEventDisableTiming); },
                 cudaEventDestroy);
         }},
        {"cudaMemPoolCreate",
         [] {
             cudaMemPoolProps properties{};
             properties.allocType = cudaMemAllocationTypePinned;
             properties.location.type = cudaMemLocationTypeDevice;
             return released<cudaMemPool_t>([&](auto* pool) { return cudaMemPoolCreate(pool, &properties); },
                                            cudaMemPoolDestroy);
         }},
        {"cudaMallocHost",
         [] {
             return released<void*>([](auto* memory) { return cudaMallocHost(memory, sizeof(double)); },
                                    cudaFreeHost);
         }},
        {"cublasCreate", [] { return released<cublasHandle_t>(cublasCreate, cublasDestroy); }},
        // The handle is not null afterwards, although there is none.
        {"cusolverDnCreate",
         [] {
             cusolverDnHandle_t handle = nullptr;
             const cusolverStatus_t status = cusolverDnCreate(&handle);
             if (handle != nullptr) cusolverDnDestroy(handle);
             return status;
         }},
        {"cusolverDnDsytrd_bufferSize",
         [] {
             return cusolverDnDsytrd_bufferSize(nullptr, CUBLAS_FILL_MODE_LOWER, 1, &number, 1, &number,
                                                &number, &number, &value);
         }},
        {"cusolverDnXsyevd_bufferSize",
         [] {
             return cusolverDnXsyevd_bufferSize(nullptr, SolverParameters(), CUSOLVER_EIG_MODE_NOVECTOR,
                                                CUBLAS_FILL_MODE_LOWER, 1, CUDA_R_64F, &number, 1, CUDA_R_64F,
                                                &number, CUDA_R_64F, &bytes, &more);
         }},
        {"cusolverDnXsyevBatched_bufferSize",
         [] {
             return cusolverDnXsyevBatched_bufferSize(nullptr, SolverParameters(), CUSOLVER_EIG_MODE_NOVECTOR,
                                                      CUBLAS_FILL_MODE_LOWER, 1, CUDA_R_64F, &number, 1,
                                                      CUDA_R_64F, &number, CUDA_R_64F, &bytes, &more, 1);
         }},
    };
}

/// Functions of an object that only a device gives (a stream, event, pool, graph, handle, kernel or memory),
/// or of a call before.
const std::set<std::string> calls_on_objects = {"cublasDestroy",
                                                "cublasDgemm",
                                                "cublasDgemmStridedBatched_64",
                                                "cublasDgemm_64",
                                                "cublasDnrm2_64",
                                                "cublasDsyrk",
                                                "cublasSetAtomicsMode",
                                                "cublasSetMathMode",
                                                "cublasSetStream",
                                                "cublasSetWorkspace",
                                                "cudaEventDestroy",
                                                "cudaEventElapsedTime",
                                                "cudaEventRecord",
                                                "cudaEventSynchronize",
                                                "cudaFreeAsync",
                                                "cudaFreeHost",
                                                "cudaFuncGetAttributes",
                                                "cudaFuncGetName",
                                                "cudaFuncSetAttribute",
                                                "cudaGetLastError",
                                                "cudaGraphDestroy",
                                                "cudaGraphExecDestroy",
                                                "cudaGraphInstantiate",
                                                "cudaGraphLaunch",
                                                "cudaMallocFromPoolAsync",
                                                "cudaMemPoolDestroy",
                                                "cudaMemPoolSetAttribute",
                                                "cudaMemPoolTrimTo",
                                                "cudaMemcpy2DAsync",
                                                "cudaMemcpyAsync",
                                                "cudaMemsetAsync",
                                                "cudaOccupancyMaxActiveBlocksPerMultiprocessor",
                                                "cudaStreamBeginCapture",
                                                "cudaStreamDestroy",
                                                "cudaStreamEndCapture",
                                                "cudaStreamSynchronize",
                                                "cudaStreamWaitEvent",
                                                "cusolverDnDestroy",
                                                "cusolverDnDsytrd",
                                                "cusolverDnSetDeterministicMode",
                                                "cusolverDnSetMathMode",
                                                "cusolverDnSetStream",
                                                "cusolverDnXsyevBatched",
                                                "cusolverDnXsyevd"};

/// Returns the names of the libraries' functions that are called in runtime/, kernels/ and experiments/.
std::set<std::string> calls_in_the_sources() {
    const std::regex call(R"(\b((?:cuda|cublas|cusolver)[A-Z]\w*)\()");
    std::set<std::string> names;
    for (const char* folder : {"runtime", "kernels", "experiments"})
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(std::filesystem::path(ESPECTRA_SOURCE) / folder)) {
            const std::string ending = entry.path().extension();
            if (ending != ".cpp" && ending != ".hpp" && ending != ".cu" && ending != ".cuh") continue;
            std::ifstream file(entry.path());
            const std::string text(std::istreambuf_iterator<char>(file), {});
            for (std::sregex_iterator found(text.begin(), text.end(), call), end; found != end; ++found)
                if (const std::string name = (*found)[1]; !name.ends_with("_t")) names.insert(name);
        }
    return names;
}

TEST(LibraryCalls, SucceedWhereNoDeviceIsNeeded) {
    for (const Call& call : calls_without_device()) EXPECT_EQ(call.answer(), 0) << call.name;
}

TEST(LibraryCalls, SayThatThereIsNoDeviceUnlessThereIs) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    EXPECT_TRUE(status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice || status == cudaSuccess)
        << cudaGetErrorName(status);
    for (const Call& call : calls_that_need_a_device()) {
        const std::string name = call.name;
        const bool has_handle = !name.ends_with("_bufferSize");  // these are called without one
        const int expected = status == cudaSuccess && has_handle ? 0
                             : name.starts_with("cublas")        ? int{CUBLAS_STATUS_NOT_INITIALIZED}
                             : name.starts_with("cusolver")      ? int{CUSOLVER_STATUS_NOT_INITIALIZED}
                                                                 : int{status};
        EXPECT_EQ(call.answer(), expected) << name;
    }
}

TEST(LibraryCalls, AreAllListed) {
    std::set<std::string> listed = calls_on_objects;
    for (const auto& calls : {calls_without_device(), calls_that_need_a_device()})
        for (const Call& call : calls) EXPECT_TRUE(listed.insert(call.name).second) << call.name;
    EXPECT_EQ(listed, calls_in_the_sources());
}

}  // namespace
}  // namespace espectra
