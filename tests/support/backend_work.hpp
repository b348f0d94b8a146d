#pragma once

// The same work on any backend with results in host memory, which the tests compare between backends.

#include "espectra/models/evaluator.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/hessian_vector.hpp"

#include "support/network_cases.hpp"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace espectra::test {

using Values = std::vector<double>;

template <class C, class T>
Buffer<T, C::space> upload(C& context, const std::vector<T>& values) {
    Buffer<T, C::space> buffer(context, std::ssize(values));
    copy(context, values.data(), buffer.data(), buffer.size());
    context.synchronize();
    return buffer;
}

template <class C, class T>
void append(C& context, Values& values, const T* source, Index count) {
    for (const T value : fetch(context, source, count)) values.push_back(static_cast<double>(value));
}

/// The data and parameters of a case on a backend.
template <class C>
class ResidentCase {
  public:
    ResidentCase(C& context, const NetworkCase& c)
        : network(c.network),
          replicas(std::ssize(c.thetas)),
          features_(upload(context, c.features)),
          targets_(upload(context, c.targets)),
          theta_(upload(context, c.flat_theta())),
          examples_(c.examples) {}

    const Network network;
    const Index replicas;

    Examples<C::space> examples() const {
        return {features_.view(network.inputs(), examples_), targets_.view(network.outputs(), examples_)};
    }
    View<const double, 2, C::space> theta() const { return theta_.view(replicas, network.parameters()); }

  private:
    Buffer<double, C::space> features_, targets_, theta_;
    Index examples_;
};

/// Returns accuracies, zero residuals, costs, gradients and logits of all replicas.
template <class C>
Values evaluation(C& context, const NetworkCase& c) {
    const ResidentCase<C> resident(context, c);
    const Index replicas = resident.replicas;
    Evaluator<C> evaluator(context, c.network, resident.examples(), replicas);
    evaluator.evaluate(resident.theta());
    Buffer<double, C::space> scores(context, 2 * replicas);
    evaluator.score(scores.view(replicas), make_view<C::space>(scores.data() + replicas, replicas));
    Values values;
    append(context, values, scores.data(), 2 * replicas);
    append(context, values, evaluator.cost().data, replicas);
    append(context, values, evaluator.gradient().data, evaluator.gradient().size());
    const auto logits = evaluator.logits();  // rows of examples with gaps between replicas
    for (Index r = 0; r < replicas; ++r)
        for (Index i = 0; i < logits.extent[1]; ++i)
            append(context, values, logits[r][i].data, logits.extent[2]);
    return values;
}

/// Returns the upper triangles of the Hessians in turn.
template <class C>
Values hessians(C& context, const NetworkCase& c, HessianPart part, std::size_t chunk_bytes) {
    const ResidentCase<C> resident(context, c);
    const Index replicas = resident.replicas, p = c.network.parameters();
    Buffer<double, C::space> memory(context, replicas * p * p);
    HessianAssembler<C> assembler(context, c.network, resident.examples(), replicas, chunk_bytes);
    assembler.assemble(resident.theta(), memory.view(replicas, p, p), part);
    Values upper;
    for (Index r = 0; r < replicas; ++r)
        for (Index i = 0; i < p; ++i)  // below the diagonal nothing is written
            append(context, upper, memory.data() + (r * p + i) * p + i, p - i);
    return upper;
}

template <class C>
Values hessian_times_vector(C& context, const NetworkCase& c) {
    const ResidentCase<C> resident(context, c);
    const Index replicas = resident.replicas, p = c.network.parameters();
    Values direction(static_cast<std::size_t>(replicas * p));
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = std::sin(1.0 + static_cast<double>(i));
    const auto along = upload(context, direction);
    Buffer<double, C::space> product(context, replicas * p);
    HessianVectorProduct<C> hvp(context, c.network, resident.examples(), replicas);
    hvp.apply(resident.theta(), along.view(replicas, p), product.view(replicas, p));
    return fetch(context, product.data(), product.size());
}

/// Returns ‖actual − expected‖ / ‖expected‖, or 1 if that is not a number.
inline double relative_error(const Values& expected, const Values& actual) {
    if (expected.size() != actual.size()) return 1;
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    const double error = std::sqrt(difference / norm);
    return std::isfinite(error) ? error : 1;
}

inline bool same_bits(const Values& x, const Values& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0;
}

/// Returns n × n symmetric matrices with rows of zeros; the numbers in the lower triangles must not be read.
inline Values matrices_with_dead_rows(Index replicas, Index n) {
    Values values(static_cast<std::size_t>(replicas * n * n));
    for (Index r = 0; r < replicas; ++r)
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j) {
                const bool dead = (i + r) % 5 == 2 || (j + r) % 5 == 2;
                values[static_cast<std::size_t>((r * n + i) * n + j)] =
                    j < i ? 1e300 : (dead ? 0.0 : std::cos(static_cast<double>(r + 7 * i * j + i + j)));
            }
    return values;
}

/// Returns the results of all matrix operations in turn.
template <class C>
Values matrix_operations(C& context, Index replicas, Index n) {
    auto memory = upload(context, matrices_with_dead_rows(replicas, n));
    const auto matrices = memory.view(replicas, n, n);
    auto nonzero = upload(context, std::vector<unsigned char>(static_cast<std::size_t>(replicas * n), 9));
    Buffer<double, C::space> trace(context, replicas), frobenius(context, replicas),
        residual(context, replicas);
    summarize(context, {.matrices = matrices,
                        .trace = trace.view(replicas),
                        .frobenius = frobenius.view(replicas),
                        .nonzero_row = nonzero.view(replicas, n)});
    const Index directions = 3;
    Values signs(static_cast<std::size_t>(directions * n)), theta(static_cast<std::size_t>(replicas * n)),
        gradient = theta;
    for (std::size_t i = 0; i < signs.size(); ++i) signs[i] = i % 7 == 0 ? 1.0 : (i % 5 == 0 ? -1.0 : 0.0);
    for (std::size_t i = 0; i < theta.size(); ++i) {
        theta[i] = 1.0 / static_cast<double>(1 + i);
        gradient[i] = std::sin(static_cast<double>(i));
    }
    const auto signs_there = upload(context, signs), theta_there = upload(context, theta),
               gradient_there = upload(context, gradient);
    scaling_residual(context, {.matrices = matrices,
                               .signs = signs_there.view(directions, n),
                               .theta = theta_there.view(replicas, n),
                               .gradient = gradient_there.view(replicas, n),
                               .frobenius = frobenius.view(replicas),
                               .residual = residual.view(replicas)});
    Values results;
    for (const auto* values : {&trace, &frobenius, &residual})
        append(context, results, values->data(), replicas);
    append(context, results, nonzero.data(), nonzero.size());
    symmetrize(context, {matrices});
    append(context, results, memory.data(), memory.size());
    Buffer<double, C::space> ratios(context, replicas * n);
    inverse_participation_ratios(context, {matrices, ratios.view(replicas, n)});
    append(context, results, ratios.data(), ratios.size());
    const auto marks = fetch(context, nonzero.data(), nonzero.size());
    for (Index r = 0; r < replicas; ++r) {
        const Index kept =
            std::count(marks.begin() + r * n, marks.begin() + (r + 1) * n, static_cast<unsigned char>(1));
        compress_rows(context, {matrices[r], nonzero.view(replicas, n)[r]});
        const Values compressed = fetch(context, matrices[r].data, n * n);
        for (Index i = 0; i < kept; ++i)
            results.insert(results.end(), compressed.begin() + i * n + i, compressed.begin() + i * n + kept);
    }
    clear_upper(context, {matrices});
    const Values cleared = fetch(context, matrices[replicas - 1].data, n * n);
    for (Index i = 0; i < n; ++i)
        results.insert(results.end(), cleared.begin() + i * n + i, cleared.begin() + (i + 1) * n);
    return results;
}

}  // namespace espectra::test
