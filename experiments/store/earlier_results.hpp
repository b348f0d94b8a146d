#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace espectra {

/// What a results file says about its run, read before the run is planned again: its recipe, data and epochs.
class EarlierResults {
  public:
    /// Opens the results file of an earlier run in `folder`, partial or final; nothing where there is none.
    static std::optional<EarlierResults> find(const std::filesystem::path& folder);

    /// Throws InputError that names the keys that differ, unless the recipe is that of the file.
    void require_same_recipe(const Experiment& present) const;
    /// Throws InputError unless the recipe is that of the file except for more epochs and what depends on
    /// them.
    void require_extension(const Experiment& present) const;
    /// Returns true if the file is that of an extension which the recipe describes, finished or not.
    bool extended_for(const Experiment& present) const;

    /// Returns the data of a combination as the networks saw them; null where the file does not say which
    /// they are.
    std::shared_ptr<const DataSet> data(std::size_t combination) const;

    /// Gives the networks of an extended run the epochs of the file's records, at which the recipe alone
    /// would not place all of them; with `extension` those of any run, in addition to their own.
    void add_epochs(std::vector<PlannedNetwork>& networks, bool extension) const;

  private:
    explicit EarlierResults(Hdf5File file);

    Hdf5File file_;
    std::vector<std::string> groups_;  // by combination; empty where the file does not say
};

/// Throws InputError unless the file was made from this recipe.
void require_same_recipe(const Hdf5File& file, const Experiment& present);

/// Returns the names of the groups by combination, as their attribute `combination` numbers them; none for a
/// file without it.
std::vector<std::string> groups_by_combination(const Hdf5File& file);

}  // namespace espectra
