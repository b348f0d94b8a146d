#pragma once

#include "espectra/experiments/recipe/planned_network.hpp"

#include <cstddef>
#include <utility>
#include <vector>

namespace espectra {

/// Returns true if statistics over the replicas of this network are computed.
bool has_statistics(const PlannedNetwork& planned);

/// Returns pairs of networks (by index, in ascending order) that differ in nothing but their activation; β
/// has to agree where both have esp layers.
std::vector<std::pair<std::size_t, std::size_t>> comparable_networks(
    const std::vector<PlannedNetwork>& networks);

/// Returns groups of networks (by index) that differ in nothing but their hidden layers.
std::vector<std::vector<std::size_t>> networks_by_architecture(const std::vector<PlannedNetwork>& networks);

}  // namespace espectra
