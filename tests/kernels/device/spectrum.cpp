// Deflation of batches of matrices and summaries of their spectra on a device.

#include "espectra/kernels/spectrum.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

/// Marks of the rows that are kept: all of matrix 0, none of 1, 2, 4, … fifths of the others.
std::vector<unsigned char> marks_of(Index replicas, Index parameters) {
    std::vector<unsigned char> marks;
    for (Index r = 0; r < replicas; ++r)
        for (Index p = 0; p < parameters; ++p)
            marks.push_back(r == 0 || (r != 1 && p * 3 % 5 < r % 5) ? 1 : 0);
    return marks;
}

Index most_kept(const std::vector<unsigned char>& marks, Index replicas, Index parameters, Index first) {
    Index most = 0;
    for (Index r = first; r < replicas; ++r)
        most = std::max<Index>(
            most, std::count(marks.begin() + r * parameters, marks.begin() + (r + 1) * parameters, 1));
    return most;
}

/// The deflated matrices [R, n, n] of matrices [R, P, P].
template <class C>
Values deflated(C& context, const std::vector<unsigned char>& marks, const Values& norms, Index n) {
    const Index replicas = std::ssize(norms), parameters = std::ssize(marks) / replicas;
    auto matrices = sliced(context, whole_numbers(replicas * parameters * parameters, 2), replicas,
                           parameters, parameters);
    auto keep = sliced(context, marks, replicas, parameters);
    auto frobenius = sliced(context, norms, replicas);
    auto results = sliced_results(context, replicas, n, n);
    deflate(context, {.matrices = matrices.view(),
                      .keep = keep.view(),
                      .frobenius = frobenius.view(),
                      .deflated = results.view()});
    Values values;
    results.append_to(values);
    return values;
}

// Around the 128 parts of a row. Where the first matrix, all of whose rows are kept, is not finite, n is
// less than P.
TYPED_TEST(Device, MatricesAreDeflated) {
    for (const Index parameters : {1, 2, 5, 64, 127, 128, 129, 130, 257})
        for (const Index replicas : {1, 2, 6, 130}) {
            if (replicas > 6 && parameters > 5) continue;
            for (const double first_norm : {2.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
                SCOPED_TRACE(std::to_string(replicas) + " × " + std::to_string(parameters) +
                             ", ‖H_0‖ = " + std::to_string(first_norm));
                const auto marks = marks_of(replicas, parameters);
                const Index n = most_kept(marks, replicas, parameters, std::isfinite(first_norm) ? 0 : 1);
                if (n == 0) continue;
                Values norms;  // 0 where no row is kept
                for (Index r = 0; r < replicas; ++r)
                    norms.push_back(
                        most_kept(marks, r + 1, parameters, r) > 0 ? 1.0 + static_cast<double>(r % 7) : 0.0);
                norms[0] = first_norm;
                const auto work = [&](auto& context) { return deflated(context, marks, norms, n); };
                this->on_both(work, [&](const Values& expected, const Values& actual) {
                    EXPECT_TRUE(equal(expected, actual));
                    const auto view = make_view(actual.data(), replicas, n, n);
                    for (Index r = 0; r < replicas; ++r)
                        for (Index i = 0; i < n; ++i)
                            for (Index j = 0; j < n; ++j)
                                ASSERT_EQ(std::isnan(view(r, i, j)), j < i) << r << ", " << i << ", " << j;
                });
            }
        }
}

// About one row of sixteen and the last are kept of the first matrix; the second is not finite and keeps
// none.
TYPED_TEST(Device, LongMatricesAreDeflated) {
    for (const Index parameters : around_long_list) {
        SCOPED_TRACE(std::to_string(parameters) + " rows");
        std::vector<unsigned char> marks(static_cast<std::size_t>(2 * parameters), 1);
        for (Index p = 0; p + 1 < parameters; ++p)
            marks[static_cast<std::size_t>(p)] = p * 7 % 16 == 3 ? 1 : 0;
        const Index n = most_kept(marks, 1, parameters, 0);
        this->on_both(
            [&](auto& c) {
                return deflated(c, marks, {3, std::nan("")}, n);
            },
            [](const Values& expected, const Values& actual) { EXPECT_TRUE(equal(expected, actual)); });
    }
}

/// Ascending whole numbers, so that both sums are exact; each row divided by a power of two.
Values spectra_of(Index replicas, Index n) {
    Values values = whole_numbers(replicas * n, 3);
    for (Index r = 0; r < replicas; ++r) {
        for (Index i = 0; i < n; ++i) {
            double& value = values[static_cast<std::size_t>(r * n + i)];
            value = std::ldexp(value * static_cast<double>(1 + i % 7), static_cast<int>(-r % 30));
        }
        std::sort(values.begin() + r * n, values.begin() + (r + 1) * n);
    }
    return values;
}

TYPED_TEST(Device, SpectraAreSummarized) {
    for (const Index parameters : {1, 3, 127, 128, 129, 300})
        for (const Index replicas : {1, 2, 6, 130})
            for (const double tolerance : {0.0, 0.2, 1.0}) {
                if (replicas > 6 && parameters > 3) continue;
                SCOPED_TRACE(std::to_string(replicas) + " × " + std::to_string(parameters));
                const auto marks = marks_of(replicas, parameters);
                // A matrix that is not finite has no eigenvalues, whatever is in its row.
                const bool finite = tolerance > 0;  // the first, all of whose rows are kept
                const Index n = std::max<Index>(1, most_kept(marks, replicas, parameters, finite ? 0 : 1));
                Values eigenvalues = spectra_of(replicas, n);
                if (!finite) std::fill_n(eigenvalues.begin(), n, unwritten<double>());
                Values traces = whole_numbers(replicas, 4), norms;
                for (Index r = 0; r < replicas; ++r)
                    norms.push_back(r % 6 == 3 ? 0.0 : std::ldexp(1.0, static_cast<int>(r % 4)));
                if (!finite) norms[0] = std::nan("");
                const auto work = [&](auto& context) {
                    auto values = sliced(context, eigenvalues, replicas, n);
                    auto keep = sliced(context, marks, replicas, parameters);
                    auto trace = sliced(context, traces, replicas),
                         frobenius = sliced(context, norms, replicas);
                    auto error = sliced_results(context, replicas),
                         largest = sliced_results(context, replicas),
                         negative = sliced_results(context, replicas),
                         zero = sliced_results(context, replicas);
                    summarize_spectra(context, {.eigenvalues = values.view(),
                                                .keep = keep.view(),
                                                .trace = trace.view(),
                                                .frobenius = frobenius.view(),
                                                .tolerance = tolerance,
                                                .trace_error = error.view(),
                                                .largest = largest.view(),
                                                .negative = negative.view(),
                                                .zero = zero.view()});
                    Values results;
                    for (auto* array : {&error, &largest, &negative, &zero}) array->append_to(results);
                    return results;
                };
                this->on_both(work, [&](const Values& expected, const Values& actual) {
                    EXPECT_TRUE(equal(expected, actual));
                    if (finite) return;
                    const auto of_first = make_view(actual.data(), 4, replicas);
                    EXPECT_EQ(of_first(1, 0), 0);                                // largest
                    EXPECT_EQ(of_first(2, 0), 0);                                // negative
                    EXPECT_EQ(of_first(3, 0), static_cast<double>(parameters));  // zero
                });
            }
}

// Eigenvalues that are not finite end in a certificate that is not finite.
TYPED_TEST(Device, SpectraThatAreNotFinite) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {std::nan(""), infinity, -infinity}) {
        const auto work = [&](auto& context) {
            auto values = sliced(context, Values{-1, bad, 2}, 1, 3);
            auto keep = sliced(context, std::vector<unsigned char>{1, 1, 1, 0}, 1, 4);
            auto trace = sliced(context, Values{1}, 1), frobenius = sliced(context, Values{3}, 1);
            auto results_of = sliced_results(context, 4, 1);
            const auto part = [&](Index i) { return results_of.view()[i]; };
            summarize_spectra(context, {.eigenvalues = values.view(),
                                        .keep = keep.view(),
                                        .trace = trace.view(),
                                        .frobenius = frobenius.view(),
                                        .tolerance = 0.1,
                                        .trace_error = part(0),
                                        .largest = part(1),
                                        .negative = part(2),
                                        .zero = part(3)});
            Values results;
            results_of.append_to(results);
            return results;
        };
        this->on_both(work, [](const Values& expected, const Values& actual) {
            EXPECT_TRUE(equal(expected, actual));
            EXPECT_FALSE(std::isfinite(actual[0]));
        });
    }
}

}  // namespace
}  // namespace espectra::test
