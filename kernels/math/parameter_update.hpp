#pragma once

#include "espectra/runtime/view.hpp"

#include <cmath>

// The update of one parameter: the same arithmetic on the host and on a device.

namespace espectra {

/// Returns θ after one step of Adam with gradient g, and updates its moments; see AdamStep.
[[gnu::always_inline]] ESPECTRA_HD inline double adam_update(double theta, double g, double rate,
                                                             double beta1, double beta2, double epsilon,
                                                             double& first_moment, double& second_moment) {
    const double first = first_moment + (g - first_moment) * (1.0 - beta1);
    const double second = second_moment + (g * g - second_moment) * (1.0 - beta2);
    first_moment = first;
    second_moment = second;
    return theta - first * rate / (std::sqrt(second) + epsilon);
}

/// Returns θ after one step of gradient descent with gradient g.
[[gnu::always_inline]] ESPECTRA_HD inline double gradient_descent_update(double theta, double g,
                                                                         double rate) {
    return theta - rate * g;
}

}  // namespace espectra
