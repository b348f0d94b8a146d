#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/initial_theta.hpp"
#include "espectra/models/trainer.hpp"

#include <benchmark/benchmark.h>

#include <vector>

// The digits network (64-25-10, ESP, P = 1920, m = 1437) on any backend.

namespace espectra {

struct Digits {
    DataSet data = split_data(load_digits(), 0.2, 0, Scaling::unit, TargetEncoding::binary_when_two);
    Network network{NetworkShape{{64, 25, 10}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}};
    std::vector<double> theta = initial_theta(network, {}, 1);
};

inline const Digits& digits() {
    static const Digits instance;
    return instance;
}

/// Training examples and θ in the memory of a backend.
template <Backend B>
class DigitsOn {
  public:
    explicit DigitsOn(B& context)
        : x_(upload(context, digits().data.x_train)),
          y_(upload(context, digits().data.y_train)),
          theta_(upload(context, digits().theta)) {
        context.synchronize();
    }

    Examples<B::space> train() const {
        const DataSet& data = digits().data;
        return {x_.view(data.features, data.train_examples), y_.view(data.outputs, data.train_examples)};
    }
    View<const double, 2, B::space> theta() const { return theta_.view(Index{1}, theta_.size()); }

  private:
    static Buffer<double, B::space> upload(B& context, const std::vector<double>& values) {
        Buffer<double, B::space> buffer(context, static_cast<Index>(values.size()));
        copy(context, values.data(), buffer.data(), buffer.size());
        return buffer;
    }

    Buffer<double, B::space> x_, y_, theta_;
};

template <Backend B>
void exact_hessian(benchmark::State& state, B& context) {
    const DigitsOn<B> on(context);
    const Index p = digits().network.parameters();
    HessianAssembler<B> assembler(context, digits().network, on.train(), 1);
    Buffer<double, B::space> hessian(context, p * p);
    for (auto _ : state) {
        assembler.assemble(on.theta(), hessian.view(1, p, p));
        context.synchronize();
    }
    state.counters["P"] = static_cast<double>(p);
}

template <Backend B>
void training_epoch(benchmark::State& state, B& context) {
    const DigitsOn<B> on(context);
    Trainer<B> trainer(context, digits().network, on.train(), {}, {}, digits().theta);
    for (auto _ : state) {
        trainer.advance_to(trainer.epoch() + 1);
        context.synchronize();
    }
}

}  // namespace espectra
