#include "espectra/experiments/run/cost_estimate.hpp"

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/fused_hessian.hpp"

#include <cmath>

namespace espectra {

namespace {
// Multiply-adds per second: small layers, the reduction to tridiagonal form, matrix products.
constexpr double layers = 3e9, reduction = 8e9, products = 1e10;

/// Returns the multiply-adds per second of products that the caches hold, on all threads at once.
double product_rate(CpuContext& context) {
    constexpr Index n = 512;
    Buffer<double, Space::host> operand(context, n * n);
    Buffer<double, Space::host> results(context, context.threads() * n * n);
    std::fill_n(operand.data(), n * n, 0.5);
    const auto multiply = [&] {
        context.parallel_for(context.threads(), [&](Index task, int) {
            blas::gemm(false, true, n, n, n, 1.0, operand.data(), n, operand.data(), n, 0.0,
                       results.data() + task * n * n, n);
        });
    };
    multiply();
    const Timer timer;
    int times = 0;
    do {
        multiply();
        ++times;
    } while (timer.seconds() < 0.1);
    return static_cast<double>(times * context.threads()) * static_cast<double>(n * n * n) / timer.seconds();
}

/// Returns the share of the products of features that is formed where those with zeros are left out
/// (kernels/cpu/hessian/weighted_rows.hpp). Zeros are assumed to be spread evenly.
double nonzero_share(View<const double, 2> features) {
    constexpr Index most = 1000;  // examples
    const Index examples = std::min(most, features.extent[1]);
    Index nonzero = 0;
    for (Index j = 0; j < features.extent[0]; ++j)
        nonzero += examples - std::count(&features(j, 0), &features(j, 0) + examples, 0.0);
    const double of_one =
        static_cast<double>(nonzero) / static_cast<double>(std::max<Index>(1, features.extent[0] * examples));
    return of_one * (1 - (1 - of_one) * (1 - of_one));  // rows are taken in pairs, one of which may be 0
}

double nominal_hessian_seconds(const PlannedNetwork& planned) {
    const auto p = static_cast<double>(planned.network.parameters());
    return 0.5 * static_cast<double>(planned.data->train_examples) * p * p / products;
}

}  // namespace

HessianSeconds hessian_seconds(CpuContext& context, const Network& network, Examples<Space::host> examples) {
    // The contractions reach 0.8 of the rate or more (`espectra benchmark hessian`), the first stage of the
    // reduction, 2/3 P³ multiply-adds, 0.75; the second stage and QL take 3.5e-8 and 1.1e-8 s per P²
    // (`espectra benchmark eigen --benchmark_filter=two_stages`). Every chunk of examples reads and writes
    // the triangle: of the order of 1e-9 s per P² (784-50-10 with 250 examples, one chunk and the passes
    // before and after it: 1.5e-9; docs/benchmarks.md).
    constexpr double pass = 1e-9, stages = 4.6e-8;
    const double rate = product_rate(context);
    const auto p = static_cast<double>(network.parameters());
    const auto products = static_cast<double>(hessian_products(network.view()));
    const auto chunks = static_cast<double>(HessianAssembler<CpuContext>::chunks(network, examples.count()));
    return {.assembly = nonzero_share(examples.features) * products * static_cast<double>(examples.count()) /
                            (0.8 * rate) +
                        pass * p * p * (chunks + 1),
            .eigenvalues = 2.0 / 3.0 * p * p * p / (0.75 * rate) + stages * p * p};
}

double nominal_epoch_seconds(const PlannedNetwork& planned) {
    return 4 * static_cast<double>(planned.data->train_examples) *
           static_cast<double>(planned.network.parameters()) / layers;
}

double search_iterations(const PlannedNetwork& planned) {
    // Measured on experiments/recipes/critical-points.toml: with a limit of 500, its 4096 searches take 268
    // iterations on average. Two thirds of those of smooth networks reach the limit; the others end after
    // about 35, and so do those of ReLU networks (28 to 39 by combination), many of them at a kink.
    constexpr double usual = 35;
    const auto limit = static_cast<double>(planned.recipe.critical_points.search.iterations);
    const bool smooth =
        std::ranges::none_of(planned.recipe.activations, [](Activation a) { return traits_of(a).kink; });
    return smooth ? (2 * limit + std::min(limit, usual)) / 3 : std::min(limit, usual);
}

double nominal_iteration_seconds(const PlannedNetwork& planned) {
    const auto p = static_cast<double>(planned.network.parameters());
    return 6 * p * p * p / reduction + nominal_hessian_seconds(planned);
}

bool search_is_faster_on_host(const PlannedNetwork& planned, int cores) {
    // An iteration on a device, by a model that has not been measured: launches of 5 µs each, which follow
    // one another, five for each column of the reduction to tridiagonal form and 60 for the Hessian, the
    // gradients and the rest; ten transfers of 10 µs each; the eigenvectors at 20 GB/s; 10 P³ operations at
    // 10 TFLOP/s. The searches of R replicas in lockstep would share the launches, but most of them end, and
    // change their damping, at iterations of their own; a device is kept busy by training and spectra
    // meanwhile.
    const auto p = static_cast<double>(planned.network.parameters());
    const double on_device = 5e-6 * (5 * p + 60) + 10 * 1e-5 + 8 * p * p / 20e9 + 10 * p * p * p / 1e13;
    return nominal_iteration_seconds(planned) / cores < on_device;
}

std::vector<NetworkCost> nominal_costs(const std::vector<PlannedNetwork>& networks) {
    std::vector<NetworkCost> costs;
    for (const PlannedNetwork& planned : networks) {
        const auto p = static_cast<double>(planned.network.parameters());
        costs.push_back(
            {.training = static_cast<double>(planned.recipe.epochs) * nominal_epoch_seconds(planned),
             .spectrum = 2.0 / 3.0 * p * p * p / reduction + nominal_hessian_seconds(planned),
             .search = search_iterations(planned) * nominal_iteration_seconds(planned)});
    }
    return costs;
}

void scale_costs(const RunPlan& run, const std::vector<std::size_t>& measured, double NetworkCost::*part,
                 std::vector<NetworkCost>& costs) {
    if (measured.empty()) return;
    const auto distance = [&](std::size_t a, std::size_t b) {
        return std::fabs(std::log(static_cast<double>(run.networks[a].network.parameters()) /
                                  static_cast<double>(run.networks[b].network.parameters())));
    };
    for (std::size_t n = 0; n < run.networks.size(); ++n) {
        if (std::ranges::find(measured, n) != measured.end()) continue;
        const std::size_t nearest = *std::ranges::min_element(measured, {}, [&](std::size_t other) {
            return other == run.kinds[n] ? -1.0 : distance(n, other);
        });
        if (run.costs[nearest].*part > 0)
            costs[n].*part = costs[nearest].*part * (run.costs[n].*part / (run.costs[nearest].*part));
    }
}

}  // namespace espectra
