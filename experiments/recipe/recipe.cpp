#include "espectra/experiments/recipe/recipe.hpp"

#include <algorithm>

namespace espectra {

std::vector<std::int64_t> SnapshotSchedule::snapshots(std::int64_t total) const {
    std::vector<std::int64_t> list = epochs;
    if (list.empty()) {
        for (std::int64_t epoch = 0; epoch < std::min(dense_until, total); epoch += dense_step)
            list.push_back(epoch);
        for (std::int64_t epoch = total; epoch > std::min(dense_until, total - 1); epoch -= step)
            list.push_back(epoch);
        if (dense_until == 0) list.push_back(0);
    }
    std::ranges::sort(list);
    list.erase(std::unique(list.begin(), list.end()), list.end());
    std::erase_if(list, [](std::int64_t epoch) { return epoch < 0; });
    return list;
}

Network Recipe::network(Index features, Index outputs) const {
    NetworkShape shape;
    shape.widths.push_back(features);
    shape.widths.insert(shape.widths.end(), hidden.begin(), hidden.end());
    shape.widths.push_back(outputs);
    shape.hidden_activations = activations;
    shape.trainable_beta = trainable_beta;
    shape.fixed_beta = beta.mean;
    shape.negative_slope = negative_slope;
    shape.loss = loss;
    return Network(shape);
}

}  // namespace espectra
