#pragma once

#include "espectra/experiments/recipe/planned_network.hpp"

#include <cstddef>
#include <vector>

namespace espectra {

class ResultsFile;

/// The spectra and the searches for critical points that a results file lacks.
class MissingWork {
  public:
    /// Everything that is to be recorded of the networks.
    explicit MissingWork(const std::vector<PlannedNetwork>& networks);
    /// The part of it that `results` does not have.
    MissingWork(const std::vector<PlannedNetwork>& networks, const ResultsFile& results);

    bool spectrum(std::size_t network, Index replica, Index snapshot) const {
        return networks_[network].spectra[at(replica, networks_[network].snapshots, snapshot)];
    }
    /// `index` is that of the epoch among those of the recipe's critical_points.
    bool search(std::size_t network, Index replica, Index index) const {
        return networks_[network].searches[at(replica, networks_[network].epochs, index)];
    }
    /// Notes that the record is there.
    void spectrum_done(std::size_t network, Index replica, Index snapshot) {
        networks_[network].spectra[at(replica, networks_[network].snapshots, snapshot)] = false;
    }
    void search_done(std::size_t network, Index replica, Index index) {
        networks_[network].searches[at(replica, networks_[network].epochs, index)] = false;
    }

    /// Numbers of missing records of one replica, and of all.
    Index spectra(std::size_t network, Index replica) const;
    Index searches(std::size_t network, Index replica) const;
    Index spectra() const;
    Index searches() const;
    bool any() const { return spectra() > 0 || searches() > 0; }

  private:
    struct OfNetwork {
        Index snapshots = 0, epochs = 0;
        std::vector<bool> spectra;   // replica · snapshots + snapshot
        std::vector<bool> searches;  // replica · epochs + index
    };
    static std::size_t at(Index replica, Index count, Index index) {
        return static_cast<std::size_t>(replica * count + index);
    }

    std::vector<OfNetwork> networks_;
};

}  // namespace espectra
