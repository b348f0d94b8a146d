#pragma once

#include <string>
#include <vector>

namespace espectra {

class CpuContext;
class CudaContext;

// The suites of espectra-benchmark. Each registers its benchmarks with Google Benchmark under names that
// begin with the suite's; a context given has to outlive their run.

/// All suites on a device: kernels, hessian, training, eigen. The latter three on the CPU by number of
/// threads, with the drivers of LAPACK beside eigen.
void register_suites(CpuContext& context);
void register_suites(CudaContext& context);  ///< in builds with the CUDA backend

void register_hessian_and_training();
void register_fused_training();
void register_eigen();

/// `espectra-benchmark recorded …`: not a suite, but work on a given file by request, see recorded_work.cpp.
int recorded_work(std::vector<std::string> arguments);

/// Benchmarks that ended with an error so far.
int& failed_benchmarks();

}  // namespace espectra
