#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

/// Returns h = Σ_j w_j x_j + b of a layer with few inputs (at least one): `weight(j)` and `input(j)` for
/// 0 ≤ j < inputs, with values of type V, a double or a vector of examples. Products are rounded before they
/// are added, inputs are added in their order and the bias last, so that training, evaluation and Hessians
/// have the same bits on every backend.
///
/// Two places on the CPU have the same sums in loops of their own, whose speed has not been compared with
/// this form: cpu/dense.cpp adds whole rows of examples, and cpu/fused/training.cpp has the number of inputs
/// known to the compiler.
template <class V, class Weight, class Input>
ESPECTRA_HD inline V preactivation(Index inputs, const Weight& weight, const Input& input, double bias) {
    V sum = weight(0) * input(0);
    for (Index j = 1; j < inputs; ++j) sum += weight(j) * input(j);
    return sum + bias;
}

}  // namespace espectra
