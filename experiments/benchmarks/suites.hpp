#pragma once

#include <string>
#include <vector>

namespace espectra {

class CpuContext;
class CudaContext;

// The suites of espectra-benchmark. Each registers its benchmarks with Google Benchmark under names that
// begin with the suite's; a context has to outlive their run.

/// Registers all suites on a device: kernels, hessian, training, eigen. On the CPU the latter three are
/// measured by number of threads, and eigen next to the drivers of LAPACK. `small`: kernels alone, in sizes
/// at which an emulated device takes seconds.
void register_suites(CpuContext& context, bool small);
void register_suites(CudaContext& context, bool small);  ///< in builds with the CUDA backend

void register_hessian_and_training();
void register_fused_training();
void register_eigen();

/// `espectra-benchmark recorded …`: repeated work on a given file on request, see recorded_work.cpp.
int recorded_work(std::vector<std::string> arguments);

/// `espectra-benchmark compare FIRST.h5 SECOND.h5`: prints the differences between two files of the same
/// networks as a JSON object.
int compare_runs(const std::vector<std::string>& arguments);

/// `espectra-benchmark lab …`: slower variants next to the library's way, see lab/README.md.
int run_lab(const std::vector<std::string>& arguments);

/// Number of benchmarks that ended with an error so far.
int& failed_benchmarks();

}  // namespace espectra
