#include "espectra/experiments/app/training_text.hpp"

#include "espectra/kernels/fused_training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace espectra {

namespace {

std::string optimizer_text(const TrainingSettings& training) {
    const std::string_view name = names_of(training.optimizer).name;
    if (training.momentum == 0) return std::string(name);
    return fmt::format("{} with {} {}", name, training.nesterov ? "Nesterov momentum" : "momentum",
                       training.momentum);
}

/// t counts updates, after the warm-up if there is one.
std::string rate_text(const TrainingSettings& training) {
    std::string text = fmt::format("learning rate {}", training.learning_rate);
    const bool decays = training.decay_rate != 1;
    switch (training.schedule) {
        case RateSchedule::exponential:
            if (decays) text += fmt::format(" · {}^(t/{})", training.decay_rate, training.decay_steps);
            break;
        case RateSchedule::step:
            if (decays) text += fmt::format(" · {}^⌊t/{}⌋", training.decay_rate, training.decay_steps);
            break;
        case RateSchedule::cosine:
            text += fmt::format(" falling to 0 as a cosine until epoch {}", training.epochs);
            break;
        case RateSchedule::constant:
            break;
    }
    if (training.warmup > 0)
        text += fmt::format(" after {} {} of warm-up", training.warmup,
                            training.warmup == 1 ? "update" : "updates");
    return text;
}

std::string batches_text(const TrainingSettings& training, Index examples) {
    const std::int64_t updates = updates_per_epoch(training, examples);
    if (updates == 1) return "full batch";
    return fmt::format("batches of {} of {} examples: {} updates per epoch", training.batch_size, examples,
                       updates);
}

std::string stop_text(const EarlyStop& stop) {
    if (stop.watch == Watched::none) return "";
    return fmt::format("; stops where {} has not improved{} for {} epochs", names_of(stop.watch).name,
                       stop.min_delta > 0 ? fmt::format(" by more than {}", stop.min_delta) : "",
                       stop.patience);
}

std::string decay_text(const Recipe& recipe) {
    const auto& [coefficient, parameters] = recipe.weight_decay;
    if (coefficient == 0) return "";
    return fmt::format("; weight decay {} of {}, {}", coefficient,
                       parameters == DecayedParameters::weights ? "the weights" : "all parameters",
                       recipe.training.optimizer == Optimizer::adamw
                           ? "decoupled: not a part of the cost, its gradient and its Hessian"
                           : "an L2 term of the cost, its gradient and its Hessian");
}

}  // namespace

std::string training_text(const PlannedNetwork& planned) {
    const TrainingSettings& training = planned.recipe.training;
    const Index examples = planned.data->train_examples;
    const bool small = fused_training_takes(planned.network.view());
    return fmt::format("{}, {}, {}{}{}{}", optimizer_text(training), batches_text(training, examples),
                       rate_text(training), decay_text(planned.recipe), stop_text(planned.recipe.early_stop),
                       small && !has_fused_training(training, planned.network, examples)
                           ? "; operation by operation, since the fused trainer does not have it"
                           : "");
}

std::string trainings_text(const RunPlan& plan) {
    constexpr std::size_t most = 4;
    std::vector<std::string> texts;
    for (const PlannedNetwork& planned : plan.networks)
        if (const std::string text = training_text(planned); std::ranges::find(texts, text) == texts.end())
            texts.push_back(text);
    if (texts.size() > most) return fmt::format("training: in {} different ways\n", texts.size());
    std::string lines;
    for (const std::string& text : texts) lines += fmt::format("training: {}\n", text);
    return lines;
}

}  // namespace espectra
