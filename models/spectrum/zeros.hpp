#pragma once

#include "espectra/kernels/layer.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace espectra {

/// Numbers of eigenvalues |λ| ≤ τ|λ|_max of one Hessian, by where they come from.
struct ZeroOrigins {
    Index dead_inputs = 0;  ///< zero rows: weights of features that are 0 in all examples
    Index dead_units = 0;   ///< the other zero rows: dead ReLU units
    Index symmetry = 0;     ///< explained by scaling symmetries, see symmetry_zero_modes()
    Index numerical = 0;    ///< not explained

    Index dead() const { return dead_inputs + dead_units; }
};

/// Origins of `zero` eigenvalues of a Hessian [P, P], those of its zero rows included, which are not marked
/// in `keep` [P]. `first` is the network's first layer, `symmetry_modes` the result of symmetry_zero_modes().
/// is_dead_feature(j) returns true if feature j is 0 in all examples; it is called only for features whose
/// weights are all dead.
ZeroOrigins zero_origins(const Layer& first, std::span<const unsigned char> keep, Index zero,
                         Index symmetry_modes, const std::function<bool(Index)>& is_dead_feature);

/// The entries of a scaling direction T (Network::scaling_directions) that are not zero.
struct ScalingDirection {
    std::vector<Index> rows;    ///< ascending
    std::vector<double> signs;  ///< −1 or 1
};

/// The rows of `directions` [d, parameters].
std::vector<ScalingDirection> scaling_directions(std::span<const double> directions, Index parameters);

/// Number of eigenvalues of H that the scaling symmetries prove to have magnitude at most `threshold`: from
/// H·(T∘θ) = −T∘∇ℓ, without H, restricted to the rows marked in `keep` (the others are exactly zero). Used
/// are the directions with ‖T∘∇ℓ‖ ≤ threshold·‖T∘θ‖, T∘θ ≠ 0; where they overlap, as many count as the
/// subspace has dimensions on which ‖Hq‖ ≤ threshold·‖q‖ (docs/mathematics.md, section 8). θ, ∇ℓ and keep are
/// [P].
Index symmetry_zero_modes(std::span<const ScalingDirection> directions, std::span<const double> theta,
                          std::span<const double> gradient, std::span<const unsigned char> keep,
                          double threshold);

/// Features that are 0 in all examples, each looked up on first use. The context and the examples have to
/// outlive it.
template <Backend B>
class DeadFeatures {
  public:
    DeadFeatures(B& context, Examples<B::space> examples)
        : context_(&context),
          examples_(examples),
          dead_(static_cast<std::size_t>(examples.features.extent[0])) {}

    bool operator()(Index feature) {
        std::optional<bool>& dead = dead_[static_cast<std::size_t>(feature)];
        if (!dead) {
            const auto values = fetch(*context_, examples_.features[feature].data, examples_.count());
            dead = std::ranges::all_of(values, [](double value) { return value == 0; });
        }
        return *dead;
    }

  private:
    B* context_;
    Examples<B::space> examples_;
    std::vector<std::optional<bool>> dead_;
};

}  // namespace espectra
