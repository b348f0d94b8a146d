#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/network_view.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

// Arguments of kernel operations of the shapes that networks give them, and what the operations cost: the
// bytes of their arguments, each read and written once, and their arithmetic operations. A multiply-add
// counts as two; the evaluation of an activation or of a loss counts as the operations in
// kernels/math/elementary.hpp.

namespace espectra {

inline constexpr double activation_flops = 46;  ///< logistic: 38; φ, φ_h, φ_β of esp: 8
inline constexpr double loss_flops = 80;        ///< logistic and log(1 + e^x) that share the exponential

/// One call of an operation, with its arguments.
struct Operation {
    double bytes = 0, flops = 0;
    std::function<void()> restore;  ///< restores the arguments that run() destroys, or empty
    std::function<void()> run;
};

/// R networks on m examples, and one of their layers.
struct OperationCase {
    Network network;
    Index replicas, examples;
    std::size_t l = 0;  ///< layer, from 0

    const Layer& layer() const { return network.layers()[l]; }
    /// The layer after layer l.
    const Layer& later() const { return network.layers()[l + 1]; }
    Index parameters() const { return network.parameters(); }
    /// R·m as a factor of flops.
    double networks_times_examples() const {
        return static_cast<double>(replicas) * static_cast<double>(examples);
    }
    /// R·P and R·P² as factors of bytes and flops.
    double all_parameters() const { return static_cast<double>(replicas * parameters()); }
    double all_entries() const { return all_parameters() * static_cast<double>(parameters()); }
};

/// Arrays of random numbers in the memory of a backend, freed with this object.
template <Backend B>
class Arrays {
  public:
    explicit Arrays(B& context) : context_(&context) {
        const RandomStream random(1, 300);
        for (std::size_t i = 0; i < tile_.size(); ++i) tile_[i] = random.uniform(i);
    }

    B& context() { return *context_; }

    /// Uniform in [−½, ½).
    template <class... E>
    auto array(E... extents) {
        return filled(-0.5, extents...);
    }

    /// Uniform in [0, 1).
    template <class... E>
    auto positive(E... extents) {
        return filled(0.0, extents...);
    }

    /// Copies `values`.
    template <class... E>
    auto values(const std::vector<double>& values, E... extents) {
        buffers_.emplace_back(*context_, (static_cast<Index>(extents) * ...));
        copy(*context_, values.data(), buffers_.back().data(), buffers_.back().size());
        context_->synchronize();
        return buffers_.back().view(extents...);
    }

    /// A counter of epochs, 0.
    auto counter() {
        const std::int64_t zero = 0;
        counters_.emplace_back(*context_, 1);
        copy(*context_, &zero, counters_.back().data(), 1);
        context_->synchronize();
        return counters_.back().view(1);
    }

    /// Returns counts, which are not initialised.
    auto counts(Index count) {
        counters_.emplace_back(*context_, count);
        return counters_.back().view(count);
    }

    /// Three quarters ones, the others zero.
    auto mask(Index count) {
        std::vector<unsigned char> values(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 4 != 3;
        bytes_.emplace_back(*context_, count);
        copy(*context_, values.data(), bytes_.back().data(), count);
        context_->synchronize();
        return bytes_.back().view(count);
    }

  private:
    template <class... E>
    auto filled(double shift, E... extents) {
        const Index size = (static_cast<Index>(extents) * ...);
        std::vector<double> values = tile_;
        for (double& value : values) value += shift;
        buffers_.emplace_back(*context_, size);
        for (Index done = 0; done < size; done += static_cast<Index>(values.size()))
            copy(*context_, values.data(), buffers_.back().data() + done,
                 std::min(size - done, static_cast<Index>(values.size())));
        context_->synchronize();
        return buffers_.back().view(extents...);
    }

    B* context_;
    std::vector<double> tile_ = std::vector<double>((1 << 18) - 1);  // odd: rows of a matrix differ
    std::vector<Buffer<double, B::space>> buffers_;
    std::vector<Buffer<unsigned char, B::space>> bytes_;
    std::vector<Buffer<std::int64_t, B::space>> counters_;
};

/// Bytes of the arrays of views; an array that replicas share counts once, an empty view not at all.
template <class... V>
double bytes_of(const V&... views) {
    const auto one = [](const auto& view) {
        if (!view.data) return 0.0;
        const Index size =
            view.stride[0] == 0 ? view.size() / std::max<Index>(view.extent[0], 1) : view.size();
        return static_cast<double>(size) * static_cast<double>(sizeof(*view.data));
    };
    return (one(views) + ... + 0.0);
}

template <class T, Space S>
double bytes_of(const ActivationDerivatives<T, S>& d) {
    return bytes_of(d.d_h, d.d_beta, d.d_hh, d.d_hbeta, d.d_betabeta);
}

/// Arrays with the shapes that one layer of a case has.
template <Backend B>
class LayerArrays {
    static constexpr Space S = B::space;

  public:
    LayerArrays(Arrays<B>& arrays, const OperationCase& c, const Layer& layer)
        : arrays_(&arrays), case_(&c), layer_(layer) {}

    /// The layer's part of a vector of all parameters.
    LayerParameters<double, S> parameters() {
        return layer_parameters(layer_, arrays_->array(case_->replicas, case_->parameters()));
    }
    LayerParameters<const double, S> weights() {
        return layer_parameters(
            layer_, View<const double, 2, S>(arrays_->array(case_->replicas, case_->parameters())));
    }

    /// [R, k, m]; shared by the replicas in the first layer.
    View<const double, 3, S> input() {
        return is_first() ? share<const double, 2, S>(arrays_->array(layer_.inputs, case_->examples),
                                                      case_->replicas)
                          : View<const double, 3, S>(input_tangent());
    }
    /// [R, k, m], or empty in the first layer, whose inputs do not depend on θ.
    View<double, 3, S> input_tangent() {
        return is_first() ? View<double, 3, S>{}
                          : arrays_->array(case_->replicas, layer_.inputs, case_->examples);
    }

    /// [R, n, m]
    View<double, 3, S> per_unit() { return arrays_->array(case_->replicas, layer_.units, case_->examples); }
    /// [R, n, n, m]
    View<double, 4, S> per_pair() {
        return arrays_->array(case_->replicas, layer_.units, layer_.units, case_->examples);
    }
    /// Like per_pair(), or empty if β is not trainable.
    View<double, 4, S> per_pair_with_beta() {
        return layer_.trainable_beta ? per_pair() : View<double, 4, S>{};
    }

    /// φ_h and φ_β, and the second derivatives if `second`.
    ActivationDerivatives<double, S> derivatives(bool second) {
        ActivationDerivatives<double, S> d;
        d.d_h = per_unit();
        if (layer_.trainable_beta) d.d_beta = per_unit();
        if (second) d.d_hh = per_unit();
        if (second && layer_.trainable_beta) {
            d.d_hbeta = per_unit();
            d.d_betabeta = per_unit();
        }
        return d;
    }

  private:
    bool is_first() const { return layer_.offsets.weights == 0; }

    Arrays<B>* arrays_;
    const OperationCase* case_;
    Layer layer_;
};

}  // namespace espectra
