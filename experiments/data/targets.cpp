#include "espectra/experiments/data/targets.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <cmath>

namespace espectra {

void require_targets(const DataSet& data, Loss loss, const std::string& where) {
    const LossTargets expected = traits_of(loss).targets;
    if (expected == LossTargets::numbers) return;
    const auto fail = [&](const std::string& what) {
        throw InputError(
            fmt::format("{}: {} for {}; mean_squared_error takes any number", where, what, loss_name(loss)));
    };
    const auto check = [&](const std::vector<double>& targets, Index examples) {
        for (Index e = 0; e < examples; ++e) {
            double sum = 0;
            for (Index c = 0; c < data.outputs; ++c) {
                const double y = targets[static_cast<std::size_t>(c * examples + e)];
                if (!(y >= 0 && y <= 1)) fail(fmt::format("target {}: expected a number in [0, 1]", y));
                sum += y;
            }
            if (expected == LossTargets::distributions && std::fabs(sum - 1) > 1e-9)
                fail(fmt::format("targets of an example add up to {}, expected 1", sum));
        }
    };
    check(data.y_train, data.train_examples);
    check(data.y_test, data.test_examples);
}

}  // namespace espectra
