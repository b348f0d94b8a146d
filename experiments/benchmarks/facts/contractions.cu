// Section `contractions`.

#include "espectra/experiments/benchmarks/cuda_meter.hpp"
#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/hessian.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace espectra {

namespace {

constexpr Space device = Space::device;

/// Two layers: inputs – units – later units, with β.
struct Layers {
    Index inputs, units, later, examples;

    Network network() const { return Network({{inputs, units, later}, {Activation::esp}, true, 1.0, {}}); }
    /// Returns the number of multiply-adds of the two contractions that are measured.
    double work() const {
        const auto n = static_cast<double>(units), k = static_cast<double>(inputs + 2);
        return static_cast<double>(examples) * n * k * (n * k / 4 + static_cast<double>(later * (units + 2)));
    }
};

/// Returns networks whose contractions are a tile and larger ones, up to those that fill a device many times;
/// the fourth is that of the digits.
std::vector<Layers> measured_layers(const FactOptions& options) {
    if (options.small) return {{5, 4, 3, 20}};
    return {{10, 8, 8, 1000},   {16, 16, 16, 1437},  {32, 25, 10, 1437},
            {64, 25, 10, 1437}, {128, 50, 10, 4096}, {256, 64, 64, 8192}};
}

/// Returns the shortest of five times, after one that does not count.
double shortest_seconds(CudaMeter& meter, const std::function<void()>& work) {
    work();
    double shortest = meter.seconds(work);
    for (int i = 0; i < 4; ++i) shortest = std::min(shortest, meter.seconds(work));
    return shortest;
}

template <class Product>
Json facts_of(CudaContext& context, CudaMeter& meter, const Product& product) {
    const ContractionShape shape = product.shape();
    return {{"contraction", Product::name},
            {"batches", shape.batches},
            {"rows", shape.rows},
            {"columns", shape.columns},
            {"examples", shape.examples},
            {"tiles_seconds", shortest_seconds(meter, [&] { group::multiply(context, product); })},
            {"cublas_seconds",
             shortest_seconds(meter, [&] { group::multiply_stored(context, product, largest_part(shape)); })},
            {"expected_tiles_seconds", tile_seconds(shape)},
            {"expected_cublas_seconds", library_seconds(shape)},
            {"chosen", stores_factors(context, shape) ? "cublas" : "tiles"}};
}

/// Adds the facts of the weights of the first layer with themselves, and of its units with the second layer.
void add_facts(CudaContext& context, CudaMeter& meter, const Layers& layers, Json& facts) {
    const Network network = layers.network();
    const Layer &first = network.layers()[0], &second = network.layers()[1];
    const Index p = network.parameters(), m = layers.examples, n = first.units;
    Arrays<CudaContext> arrays(context);
    const auto hessian = arrays.array(1, p, p);
    LayerBlock<device> block{};
    block.input = arrays.array(1, first.inputs, m);
    block.curvature = arrays.array(1, n, n, m);
    block.offsets = first.offsets;
    block.hessian = hessian;
    facts.push_back(facts_of(context, meter, group::LayerBlockProduct<device>{block}));
    CrossBlock<device> cross{};
    cross.input = block.input;
    cross.d_h = arrays.array(1, n, m);
    cross.d_beta = arrays.array(1, n, m);
    cross.later_input = arrays.array(1, n, m);
    cross.curvature = arrays.array(1, second.units, n, m);
    cross.mixed = arrays.array(1, second.units, n, m);
    cross.later_delta = arrays.array(1, second.units, m);
    cross.offsets = first.offsets;
    cross.later_offsets = second.offsets;
    cross.hessian = hessian;
    facts.push_back(facts_of(context, meter, group::CrossBlockProduct<device>{cross}));
}

}  // namespace

Json contraction_facts(const FactOptions& options) {
    CudaContext context;
    CudaMeter meter(context);
    Json facts = Json::array();
    double last_seconds = 0, last_work = 0;
    for (const Layers& layers : measured_layers(options)) {
        const double expected = last_work > 0 ? last_seconds * layers.work() / last_work : 0;
        if (!options.allows(expected)) {
            facts.push_back({{"inputs", layers.inputs}, {"units", layers.units}, {"skipped", "time"}});
            break;
        }
        const Timer timer;
        add_facts(context, meter, layers, facts);
        last_seconds = timer.seconds();
        last_work = layers.work();
    }
    return facts;
}

}  // namespace espectra
