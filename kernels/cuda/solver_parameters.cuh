#pragma once

#include "espectra/runtime/cuda/check.hpp"

namespace espectra {

/// Owns the parameters that the generic routines of cuSOLVER take. They choose no algorithm:
/// cusolverDnSetAdvOptions answers "invalid value" for every algorithm of CUSOLVERDN_SYEVBATCHED (cuSOLVER
/// 12.0.4 and 12.0.9).
class SolverParameters {
  public:
    SolverParameters() { check(cusolverDnCreateParams(&parameters_)); }
    ~SolverParameters() { cusolverDnDestroyParams(parameters_); }
    SolverParameters(const SolverParameters&) = delete;
    SolverParameters& operator=(const SolverParameters&) = delete;
    operator cusolverDnParams_t() const { return parameters_; }

  private:
    cusolverDnParams_t parameters_ = nullptr;
};

}  // namespace espectra
