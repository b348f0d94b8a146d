#pragma once

#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/timer.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <functional>
#include <string>

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

/// cusolverDnXsyevBatched, with its algorithm 0 or 1, on matrices of known spectra: errors and time.
Json batched_matrices(CudaContext& context, int algorithm);

}  // namespace espectra
