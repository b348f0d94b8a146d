#include "espectra/experiments/run/recorded_snapshots.hpp"

#include <filesystem>
#include <memory>

namespace espectra {

PlannedNetwork planned_network(const RecordedRun& run, const SpectrumOptions& options) {
    Recipe recipe;
    recipe.epochs = run.epoch.empty() ? 0 : run.epoch.back();
    recipe.training = run.training;
    recipe.spectrum = options;
    return {.name = run.of_results() ? run.group() : group_stem(run.data.source, run.network),
            .recipe = recipe,
            .network = run.network,
            .data = std::make_shared<const DataSet>(run.data),
            .epochs = run.epoch,
            .recorded_from = run.label};
}

}  // namespace espectra
