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

/// Returns θ after one step with momentum and gradient g, and updates the velocity; see MomentumStep.
[[gnu::always_inline]] ESPECTRA_HD inline double momentum_update(double theta, double g, double rate,
                                                                 double momentum, bool nesterov,
                                                                 double& velocity) {
    const double updated = momentum * velocity + g;
    velocity = updated;
    return theta - rate * (nesterov ? g + momentum * updated : updated);
}

/// Returns θ after one step of AdamW with gradient g, and updates its moments; see AdamWStep. `decay` is λ of
/// this parameter.
[[gnu::always_inline]] ESPECTRA_HD inline double adamw_update(double theta, double g, double rate,
                                                              double decay, double beta1, double beta2,
                                                              double epsilon, double correction1,
                                                              double root_correction2, double& first_moment,
                                                              double& second_moment) {
    const double first = first_moment + (g - first_moment) * (1.0 - beta1);
    const double second = second_moment + (g * g - second_moment) * (1.0 - beta2);
    first_moment = first;
    second_moment = second;
    const double shrunk = theta * (1.0 - rate * decay);
    return shrunk - rate / correction1 * (first / (std::sqrt(second) / root_correction2 + epsilon));
}

}  // namespace espectra
