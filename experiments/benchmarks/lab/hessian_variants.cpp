#include "espectra/experiments/benchmarks/lab/hessian_variants.hpp"

#include "espectra/kernels/math/hessian_recursion.hpp"
#include "espectra/kernels/matrix.hpp"

#include <cblas.h>

#include <cstddef>

namespace espectra::lab {

HessianBySteps::HessianBySteps(CpuContext& context, const Network& network, Examples<Space::host> examples,
                               Index replicas)
    : context_(&context),
      network_(&network),
      examples_(examples),
      replicas_(replicas),
      memory_(context, replicas * examples.count() * hessian_sizes(network.view()).total()) {}

void HessianBySteps::assemble(View<const double, 2> theta, View<double, 3> hessians) {
    clear_upper(*context_, {hessians});
    add_hessian_chunk(*context_, HessianChunk<Space::host>{.network = network_->view(),
                                                           .total_examples = examples_.count(),
                                                           .full = true,
                                                           .features = share(examples_.features, replicas_),
                                                           .targets = share(examples_.targets, replicas_),
                                                           .theta = theta,
                                                           .hessian = hessians,
                                                           .memory = memory_.data()});
}

OpenblasProducts::OpenblasProducts(const Network& network, Index examples) : examples_(examples) {
    const auto& layers = network.layers();
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const Index n = layers[l].units, k = layers[l].inputs + 1;
        add(n * (n + 1) / 2, k * (k + 1) / 2);
        for (std::size_t later = l + 1; later < layers.size(); ++later) {
            const Layer& other = layers[later];
            const Index beta = layers[l].trainable_beta ? 1 : 0, other_beta = other.trainable_beta ? 1 : 0;
            add(k + beta, n * other.units * (other.inputs + 1 + other_beta));
        }
    }
}

void OpenblasProducts::add(Index rows, Index columns) {
    products_.push_back({rows, columns, std::vector<double>(static_cast<std::size_t>(rows * examples_), 0.5),
                         std::vector<double>(static_cast<std::size_t>(columns * examples_), 0.5),
                         std::vector<double>(static_cast<std::size_t>(rows * columns))});
}

void OpenblasProducts::run() {
    const auto inner = static_cast<int>(examples_);
    for (Product& product : products_) {
        const auto rows = static_cast<int>(product.rows), columns = static_cast<int>(product.columns);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, inner, 1.0, product.left.data(),
                    inner, product.right.data(), inner, 0.0, product.result.data(), columns);
    }
}

double OpenblasProducts::flops() const {
    double flops = 0;
    for (const Product& product : products_)
        flops += 2.0 * static_cast<double>(product.rows) * static_cast<double>(product.columns) *
                 static_cast<double>(examples_);
    return flops;
}

}  // namespace espectra::lab
