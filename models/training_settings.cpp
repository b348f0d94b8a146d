#include "espectra/models/training_settings.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

namespace espectra {

void require_consistent(const TrainingSettings& settings) {
    const std::string_view optimizer = names_of(settings.optimizer).name;
    if (!(settings.momentum >= 0 && settings.momentum < 1))
        throw InputError(
            fmt::format("training: momentum {}: expected a number in [0, 1)", settings.momentum));
    if (settings.momentum > 0 && settings.optimizer != Optimizer::gradient_descent)
        throw InputError(fmt::format("training: {} has no momentum", optimizer));
    if (settings.nesterov && settings.momentum == 0)
        throw InputError("training: Nesterov's method needs momentum");
    if (settings.weight_decay.coefficient != 0 && settings.optimizer != Optimizer::adamw)
        throw InputError(fmt::format("training: {} has no decoupled weight decay", optimizer));
}

double learning_rate(const TrainingSettings& settings, std::int64_t t, std::int64_t updates_per_epoch) {
    if (t < settings.warmup)
        return settings.learning_rate * (static_cast<double>(t + 1) / static_cast<double>(settings.warmup));
    const auto after = static_cast<double>(t - settings.warmup);
    switch (settings.schedule) {
        case RateSchedule::exponential:
            return settings.learning_rate * std::pow(settings.decay_rate, after / settings.decay_steps);
        case RateSchedule::step:
            return settings.learning_rate *
                   std::pow(settings.decay_rate, std::floor(after / settings.decay_steps));
        case RateSchedule::cosine: {
            const auto all = static_cast<double>(
                std::max<std::int64_t>(settings.epochs * updates_per_epoch - settings.warmup, 1));
            return settings.learning_rate * 0.5 *
                   (1.0 + std::cos(std::numbers::pi * std::min(after / all, 1.0)));
        }
        case RateSchedule::constant:
            break;
    }
    return settings.learning_rate;
}

double update_rate(const TrainingSettings& settings, std::int64_t t, std::int64_t updates_per_epoch) {
    const double rate = learning_rate(settings, t, updates_per_epoch);
    if (settings.optimizer != Optimizer::adam) return rate;
    const auto updates = static_cast<double>(t + 1);
    const double correction =
        std::sqrt(1.0 - std::pow(settings.beta2, updates)) / (1.0 - std::pow(settings.beta1, updates));
    return rate * correction;
}

}  // namespace espectra
