#include "espectra/experiments/run/missing_work.hpp"

#include "espectra/experiments/store/results.hpp"

#include <algorithm>

namespace espectra {

MissingWork::MissingWork(const std::vector<PlannedNetwork>& networks) {
    for (const PlannedNetwork& planned : networks) {
        OfNetwork one;
        one.snapshots = planned.snapshots();
        one.epochs = planned.recipe.critical_points.count();
        one.spectra.assign(at(planned.recipe.replicas, one.snapshots, 0), true);
        one.searches.assign(at(planned.recipe.replicas, one.epochs, 0), true);
        networks_.push_back(std::move(one));
    }
}

MissingWork::MissingWork(const std::vector<PlannedNetwork>& networks, const ResultsFile& results)
    : MissingWork(networks) {
    for (std::size_t n = 0; n < networks.size(); ++n)
        for (Index r = 0; r < networks[n].recipe.replicas; ++r) {
            for (Index e = 0; e < networks_[n].snapshots; ++e)
                if (results.complete(n, r, e)) spectrum_done(n, r, e);
            for (Index k = 0; k < networks_[n].epochs; ++k)
                if (results.critical_point_complete(n, r, k)) search_done(n, r, k);
        }
}

Index MissingWork::spectra(std::size_t network, Index replica) const {
    Index missing = 0;
    for (Index e = 0; e < networks_[network].snapshots; ++e) missing += spectrum(network, replica, e) ? 1 : 0;
    return missing;
}

Index MissingWork::searches(std::size_t network, Index replica) const {
    Index missing = 0;
    for (Index k = 0; k < networks_[network].epochs; ++k) missing += search(network, replica, k) ? 1 : 0;
    return missing;
}

Index MissingWork::spectra() const {
    Index missing = 0;
    for (const OfNetwork& one : networks_) missing += std::ranges::count(one.spectra, true);
    return missing;
}

Index MissingWork::searches() const {
    Index missing = 0;
    for (const OfNetwork& one : networks_) missing += std::ranges::count(one.searches, true);
    return missing;
}

}  // namespace espectra
