#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/kernels/loss.hpp"

#include <string>

namespace espectra {

/// Throws InputError "<where>: target …" where targets are not what the loss is defined for: numbers in
/// [0, 1], of which those of an example add up to 1 for the softmax.
void require_targets(const DataSet& data, Loss loss, const std::string& where);

}  // namespace espectra
