#pragma once

#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/timer.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

// The parts of espectra-cuda-facts, see cuda_facts.cu.

namespace espectra {

using Json = nlohmann::ordered_json;

/// Prints a line to standard error.
void print_progress(const std::string& text);

/// Time on the device between two events around work(), in seconds.
double device_seconds(CudaContext& context, const std::function<void()>& work);

/// Free memory of the device in bytes, after all work has finished.
std::size_t free_memory(CudaContext& context);

/// Fills a matrix [n, n] with a symmetric one of uniform numbers in [−½, ½), a function of n.
void fill(CudaContext& context, double* matrix, Index n);

/// cusolverDnXsyevd without vectors on single matrices of growing size: correctness, time, memory, work of
/// the host. Ends where memory or `budget` seconds since the begin of `total` do not suffice.
Json single_matrices(const Timer& total, double budget);

/// cusolverDnXsyevBatched on matrices of known spectra: errors and time.
Json batched_matrices(CudaContext& context);

/// Contractions of the exact Hessian by tiles and by cuBLAS, from small to large: time, and the time that the
/// model expects. Ends where the next would exceed `budget` seconds.
Json contractions(CudaContext& context, double budget);

/// Returns "<part>: <error>" for every `error` in the facts, at any depth.
inline std::vector<std::string> errors_in(const Json& facts) {
    std::vector<std::string> errors;
    for (const auto& [name, part] : facts.items()) {
        if (!part.is_structured()) continue;
        if (part.is_object() && part.contains("error"))
            errors.push_back(name + ": " + part["error"].get<std::string>());
        for (const std::string& inner : errors_in(part)) errors.push_back(name + ": " + inner);
    }
    return errors;
}

/// Returns false if a solve of cusolverDnXsyevd violates its certificate.
inline bool certified(const Json& facts) {
    if (const auto solves = facts.find("syevd"); solves != facts.end() && solves->is_array())
        for (const Json& fact : *solves)
            if (!fact.value("certified", true)) return false;
    return true;
}

/// Returns the exit status of the program: that of a resource error where a part could not be measured.
inline int exit_status(const Json& facts) {
    if (!errors_in(facts).empty()) return static_cast<int>(ErrorKind::resource);
    return certified(facts) ? 0 : static_cast<int>(ErrorKind::numerical);
}

}  // namespace espectra
