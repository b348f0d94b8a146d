#pragma once

#include "espectra/kernels/names.hpp"
#include "espectra/models/network.hpp"

#include <cstdint>

namespace espectra {

enum class Optimizer : std::uint8_t { adam, adamw, gradient_descent };

constexpr Names names_of(Optimizer optimizer) {
    switch (optimizer) {
        case Optimizer::adam:
            return {"adam"};
        case Optimizer::adamw:
            return {"adamw"};
        case Optimizer::gradient_descent:
            return {"gradient_descent", {"sgd", "gd"}};
    }
    return {};
}

/// The learning rate after the warm-up, s = 0, 1, … updates after its end.
enum class RateSchedule : std::uint8_t {
    exponential,  ///< learning_rate · decay_rate^(s / decay_steps), with a real exponent
    step,         ///< learning_rate · decay_rate^⌊s / decay_steps⌋
    cosine,       ///< learning_rate · ½(1 + cos(π s / S)), with S updates from the warm-up to the end
    constant,     ///< learning_rate
};

constexpr Names names_of(RateSchedule schedule) {
    switch (schedule) {
        case RateSchedule::exponential:
            return {"exponential"};
        case RateSchedule::step:
            return {"step"};
        case RateSchedule::cosine:
            return {"cosine"};
        case RateSchedule::constant:
            return {"constant"};
    }
    return {};
}

/// A number by which the training of a replica is stopped early.
enum class Watched : std::uint8_t {
    none,
    cost,           ///< of the training examples, with the L2 term
    cost_test,      ///< of the test examples
    accuracy_test,  ///< which is the better the larger it is
};

constexpr Names names_of(Watched watched) {
    switch (watched) {
        case Watched::none:
            return {"none"};
        case Watched::cost:
            return {"cost"};
        case Watched::cost_test:
            return {"cost_test", {"val_loss"}};
        case Watched::accuracy_test:
            return {"accuracy_test", {"val_accuracy"}};
    }
    return {};
}

/// How networks are trained. Replicas that are trained together may differ in their learning rates: in
/// learning_rate, decay_rate, decay_steps, schedule and warmup.
struct TrainingSettings {
    Optimizer optimizer = Optimizer::adam;
    double learning_rate = 0.01;
    double decay_rate = 0.9;
    double decay_steps = 500;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of adam and adamw
    bool fused = true;                                  ///< small networks in one kernel
    RateSchedule schedule = RateSchedule::exponential;
    std::int64_t warmup = 0;  ///< updates t = 0, 1, … before this one have learning_rate · (t + 1) / warmup
    std::int64_t epochs = 0;  ///< of the whole training: the length of cosine, else of no meaning
    double momentum = 0;      ///< μ of gradient_descent
    bool nesterov = false;
    WeightDecay weight_decay = {};  ///< of adamw, decoupled from the gradient
    Index batch_size = 0;           ///< examples of a mini-batch; 0, or no fewer than there are: all of them

    bool operator==(const TrainingSettings&) const = default;
};

/// Throws InputError where settings contradict each other: momentum that is not in [0, 1) or of another
/// optimizer than gradient_descent, Nesterov's without momentum, decoupled decay of another one than adamw.
void require_consistent(const TrainingSettings& settings);

/// Returns the number of updates of an epoch, a pass over all examples.
inline std::int64_t updates_per_epoch(const TrainingSettings& settings, Index examples) {
    const Index size = settings.batch_size;
    return size == 0 || size >= examples ? 1 : (examples + size - 1) / size;
}

/// Returns the learning rate of update t = 0, 1, ….
double learning_rate(const TrainingSettings& settings, std::int64_t t, std::int64_t updates_per_epoch);

/// Returns the rate that the kernel of the optimizer takes for update t: the learning rate, which for adam
/// contains the correction of the moments' bias.
double update_rate(const TrainingSettings& settings, std::int64_t t, std::int64_t updates_per_epoch);

/// Returns true if fused_training has this training of the network, whatever its size; the others are done
/// operation by operation.
inline bool has_fused_training(const TrainingSettings& settings, const Network& network, Index examples) {
    return updates_per_epoch(settings, examples) == 1 &&
           (settings.optimizer == Optimizer::adam || settings.optimizer == Optimizer::gradient_descent) &&
           settings.momentum == 0 && !network.has_l2();
}

}  // namespace espectra
