#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"

#include <vector>

namespace espectra {

/// A data set on a backend: copied to a device once; on the host it refers to the DataSet, which has to
/// outlive it.
template <Backend B>
class ResidentData {
  public:
    ResidentData(B& context, const DataSet& data)
        : train_(
              place(context, data.x_train, data.y_train, data.features, data.outputs, data.train_examples)),
          test_(place(context, data.x_test, data.y_test, data.features, data.outputs, data.test_examples)) {
        context.synchronize();
    }
    Examples<B::space> train() const { return train_; }
    Examples<B::space> test() const { return test_; }

  private:
    const double* place(B& context, const std::vector<double>& values) {
        if constexpr (B::space == Space::host) return values.data();
        buffers_.emplace_back(context, static_cast<Index>(values.size()));
        copy(context, values.data(), buffers_.back().data(), buffers_.back().size());
        return buffers_.back().data();
    }
    Examples<B::space> place(B& context, const std::vector<double>& x, const std::vector<double>& y,
                             Index features, Index outputs, Index count) {
        return {make_view<B::space>(place(context, x), features, count),
                make_view<B::space>(place(context, y), outputs, count)};
    }

    std::vector<Buffer<double, B::space>> buffers_;
    Examples<B::space> train_, test_;
};

}  // namespace espectra
