// Eigenvalues and eigenvectors on a device: own kernels up to 64 rows, cuSOLVER's batched routine above, and
// its routine for single matrices.

#include "espectra/kernels/eigen.hpp"

#include "espectra/models/spectrum/indices.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace espectra::test {
namespace {

enum class Kind { random, zero, repeated, graded, dead_rows, rank_one, rank_half, nearly_full, tiny, huge };
constexpr Kind kinds[] = {Kind::random,   Kind::zero,      Kind::repeated,    Kind::graded, Kind::dead_rows,
                          Kind::rank_one, Kind::rank_half, Kind::nearly_full, Kind::tiny,   Kind::huge};

/// The upper triangle of a matrix [n, n]; the lower one is NaN.
Values matrix_of(Kind kind, Index n, std::uint32_t stream) {
    const RandomStream random(29, stream);
    const auto normal = [&](Index i, Index j) {
        return random.normal(static_cast<std::uint64_t>(i * 1000 + j));
    };
    const auto of_rank = [&](Index rank, Index i, Index j) {
        double sum = 0;
        for (Index k = 0; k < rank; ++k) sum += (k % 3 == 1 ? -1 : 1) * normal(k, i) * normal(k, j);
        return sum;
    };
    const auto entry = [&](Index i, Index j) -> double {
        switch (kind) {
            case Kind::random:
                return normal(i, j);
            case Kind::zero:
                return 0;
            case Kind::repeated:  // −1, and 1 of multiplicity n − 1: a reflection
                return (i == j ? 1.0 : 0.0) - 2.0 / static_cast<double>(n);
            case Kind::graded:
                return std::ldexp(normal(i, j), -static_cast<int>(i + j));
            case Kind::dead_rows:
                return i % 3 == 1 || j % 3 == 1 ? 0.0 : of_rank(3, i, j);
            case Kind::rank_one:
                return of_rank(1, i, j);
            case Kind::rank_half:
                return of_rank(n / 2, i, j);
            case Kind::nearly_full:
                return of_rank(n - 1, i, j);
            case Kind::tiny:
                return 1e-300 * normal(i, j);
            case Kind::huge:
                return 1e300 * normal(i, j);
        }
        return 0;
    };
    Values matrix(static_cast<std::size_t>(n * n), unwritten<double>());
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j) matrix[static_cast<std::size_t>(i * n + j)] = entry(i, j);
    return matrix;
}

/// Matrices of all kinds in turn.
Values matrices_of(Index count, Index n) {
    Values all;
    for (Index r = 0; r < count; ++r) {
        const Values matrix = matrix_of(kinds[r % std::ssize(kinds)], n, static_cast<std::uint32_t>(r));
        all.insert(all.end(), matrix.begin(), matrix.end());
    }
    return all;
}

/// How matrices and eigenvalues are stored: one after the other, with `padding` entries behind each row, or
/// as slices of larger arrays.
enum class Storage { contiguous, padded_rows, sliced };

/// Returns the eigenvalues of matrices [R, n, n], with `vectors` followed by the eigenvectors.
template <class C>
Values solve(C& context, const Values& matrices, Index count, Index n, Storage storage, bool vectors) {
    Values results;
    const auto run = [&](View<double, 3, C::space> in, View<double, 2, C::space> out) {
        if (vectors)
            symmetric_eigenvectors(context, {in, out});
        else
            symmetric_eigenvalues(context, {in, out});
    };
    if (storage == Storage::sliced) {
        auto in = sliced(context, matrices, count, n, n);
        auto out = sliced_results(context, count, n);
        run(in.view(), out.view());
        out.append_to(results);
        if (vectors) in.append_to(results);
        return results;
    }
    const Index stride = storage == Storage::padded_rows ? n + 3 : n;
    Values rows(static_cast<std::size_t>(count * n * stride), unwritten<double>());
    for (Index row = 0; row < count * n; ++row)
        std::copy_n(matrices.begin() + row * n, n, rows.begin() + row * stride);
    auto memory = upload(context, rows);
    Buffer<double, C::space> values(context, count * n);
    run(memory.view(count, n, stride).slice(2, 0, n), values.view(count, n));
    append(context, results, values.data(), values.size());
    if (!vectors) return results;
    const Values found = fetch(context, memory.data(), memory.size());
    for (Index row = 0; row < count * n; ++row)
        results.insert(results.end(), found.begin() + row * stride, found.begin() + row * stride + n);
    return results;
}

double largest_of(const double* ascending, Index n) {
    return n == 0 ? 0.0 : std::max(std::fabs(ascending[0]), std::fabs(ascending[n - 1]));
}

/// Expects ascending values that differ from the expected ones by the rounding of two solvers, each of which
/// is within automatic_tolerance(n).
void expect_eigenvalues(const Values& expected, const Values& actual, Index count, Index n) {
    ASSERT_EQ(std::ssize(expected), count * n);
    ASSERT_EQ(std::ssize(actual), count * n);
    for (Index r = 0; r < count; ++r) {
        const double *x = expected.data() + r * n, *y = actual.data() + r * n;
        EXPECT_TRUE(std::is_sorted(y, y + n));
        const double bound = 2 * automatic_tolerance(n) * largest_of(x, n);
        for (Index i = 0; i < n; ++i) ASSERT_NEAR(y[i], x[i], bound) << "matrix " << r << ", value " << i;
    }
}

// Both sizes of blocks, and on both sides of their limits.
TYPED_TEST(Device, EigenvaluesOfSmallMatrices) {
    for (const Index n : {0, 1, 2, 3, 31, 32, 33, 63, 64})
        for (const Storage storage : {Storage::contiguous, Storage::sliced}) {
            const Index count = n == 2 ? 130 : std::ssize(kinds);
            if (n > 3 && storage == Storage::contiguous) continue;
            SCOPED_TRACE("n = " + std::to_string(n));
            const Values matrices = matrices_of(count, n);
            const Values actual = solve(*this->context_, matrices, count, n, storage, false);
            expect_eigenvalues(solve(this->cpu_, matrices, count, n, storage, false), actual, count, n);
            // Any group of threads gives the same bits.
            EmulatedContext one_thread(1);
            EXPECT_TRUE(identical(solve(one_thread, matrices, count, n, storage, false), actual));
        }
}

TYPED_TEST(Device, EigenvaluesOfLargerMatrices) {
    for (const Index n : {65, 66, 130})
        for (const Index count : {1, 2, 10})
            for (const Storage storage : {Storage::contiguous, Storage::padded_rows, Storage::sliced}) {
                SCOPED_TRACE(std::to_string(count) + " matrices, n = " + std::to_string(n));
                const Values matrices = matrices_of(count, n);
                expect_eigenvalues(solve(this->cpu_, matrices, count, n, storage, false),
                                   solve(*this->context_, matrices, count, n, storage, false), count, n);
            }
}

// One size above the batches, one block of copies above 1024 columns.
TYPED_TEST(Device, HeavyEigenvaluesOfLargeMatrices) {
    for (const auto& [count, n] : {std::pair<Index, Index>{2, 512}, {2, 513}}) {
        const Values matrices = matrices_of(count, n);
        expect_eigenvalues(solve(this->cpu_, matrices, count, n, Storage::sliced, false),
                           solve(*this->context_, matrices, count, n, Storage::sliced, false), count, n);
    }
}

TYPED_TEST(Device, EigenvectorsDiagonalise) {
    for (const Index n : {1, 2, 3, 64, 70})
        for (const Index count : {1, 10})
            for (const Storage storage : {Storage::contiguous, Storage::padded_rows, Storage::sliced}) {
                SCOPED_TRACE(std::to_string(count) + " matrices, n = " + std::to_string(n));
                const Values matrices = matrices_of(count, n);
                const Values solution = solve(*this->context_, matrices, count, n, storage, true);
                const double *values = solution.data(), *vectors = values + count * n;
                expect_eigenvalues(solve(this->cpu_, matrices, count, n, storage, false),
                                   Values(values, values + count * n), count, n);
                for (Index r = 0; r < count; ++r) {
                    const auto a = make_view(matrices.data() + r * n * n, n, n);
                    const auto v = make_view(vectors + r * n * n, n, n);
                    // ‖A v − λ v‖ and ‖V Vᵀ − I‖: the solver's rounding and that of a sum of n terms.
                    const double rounding = 2 * automatic_tolerance(n),
                                 largest = largest_of(values + r * n, n);
                    for (Index e = 0; e < n; ++e)
                        for (Index i = 0; i < n; ++i) {
                            double product = 0, dot = 0;
                            for (Index j = 0; j < n; ++j) {
                                product += (i < j ? a(i, j) : a(j, i)) * v(e, j);
                                dot += v(e, j) * v(i, j);
                            }
                            ASSERT_NEAR(product, values[r * n + e] * v(e, i), rounding * largest)
                                << r << ", " << e << ", " << i;
                            ASSERT_NEAR(dot, e == i ? 1 : 0, rounding) << r << ", " << e << ", " << i;
                        }
                }
            }
}

// The own kernels give NaN for every eigenvalue of such a matrix, and the right ones for the others of the
// batch; cuSOLVER and LAPACK throw or give values that are not finite.
TYPED_TEST(Device, EigenvaluesOfMatricesThatAreNotFinite) {
    for (const Index n : {1, 2, 33, 64, 65, 70})
        for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
            SCOPED_TRACE("n = " + std::to_string(n));
            Values matrices = matrices_of(3, n);
            matrices[static_cast<std::size_t>(n * n + n - 1)] = bad;  // at the end of the first row
            if (n > most_block_rows) {
                try {
                    const Values values = solve(*this->context_, matrices, 3, n, Storage::contiguous, false);
                    const auto of_second = values.begin() + n;
                    EXPECT_FALSE(
                        std::all_of(of_second, of_second + n, [](double x) { return std::isfinite(x); }));
                } catch (const NumericalError& error) {
                    EXPECT_NE(std::string(error.what()).find("info = "), std::string::npos) << error.what();
                }
                continue;
            }
            const Values actual = solve(*this->context_, matrices, 3, n, Storage::sliced, false);
            for (Index i = n; i < 2 * n; ++i) EXPECT_TRUE(std::isnan(actual[static_cast<std::size_t>(i)]));
            for (const Index r : {0, 2}) {
                const Values matrix(matrices.begin() + r * n * n, matrices.begin() + (r + 1) * n * n);
                expect_eigenvalues(solve(this->cpu_, matrix, 1, n, Storage::contiguous, false),
                                   Values(actual.begin() + r * n, actual.begin() + (r + 1) * n), 1, n);
            }
        }
}

}  // namespace
}  // namespace espectra::test
