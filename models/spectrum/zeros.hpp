#pragma once

#include "espectra/kernels/layer.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <functional>
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

/// Features that are 0 in all examples, all counted on first use. The context and the examples have to
/// outlive it.
template <Backend B>
class DeadFeatures {
  public:
    DeadFeatures(B& context, Examples<B::space> examples) : context_(&context), examples_(examples) {}

    /// Bytes that the count takes on the device.
    static std::size_t bytes(Index features, Index examples) {
        return static_cast<std::size_t>(features) * sizeof(Index) +
               static_cast<std::size_t>(count_nonzeros_scratch<B::space>(features, examples)) *
                   sizeof(double);
    }

    bool operator()(Index feature) {
        if (nonzeros_.empty()) {
            Buffer<Index, B::space> counts(*context_, examples_.features.extent[0]);
            count_nonzeros(*context_, {examples_.features, counts.view(counts.size())});
            nonzeros_ = fetch(*context_, counts.data(), counts.size());
        }
        return nonzeros_[static_cast<std::size_t>(feature)] == 0;
    }

  private:
    B* context_;
    Examples<B::space> examples_;
    std::vector<Index> nonzeros_;  // of each feature, or empty
};

}  // namespace espectra
