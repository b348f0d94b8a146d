// Contractions by cuBLAS on the emulated device: the call with the arguments that kernels/cuda makes, the
// same with wrong ones, and where this way is chosen.

#include "espectra/kernels/contraction.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include <cstdio>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

namespace espectra {
namespace {

using Values = std::vector<double>;
using Product = FactorProduct<Space::device>;

class ContractionCalls : public ::testing::TestWithParam<Index> {
  protected:
    /// Copies numbers to the rows of a view, without those between them.
    Values write(const View<double, 3, Space::device>& view, double first) {
        Values values(static_cast<std::size_t>(view.size()));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<double>(i % 7);
        const double* next = values.data();
        for (Index i = 0; i < view.extent[0]; ++i)
            for (Index j = 0; j < view.extent[1]; ++j, next += view.extent[2])
                copy(context_, next, &view(i, j, 0), view.extent[2]);
        context_.synchronize();
        return values;
    }
    Values read(const View<double, 3, Space::device>& view) {
        Values values;
        for (Index i = 0; i < view.extent[0]; ++i)
            for (const double value : fetch(context_, view[i])) values.push_back(value);
        return values;
    }
    std::size_t findings(ptx::Fault fault) {
        context_.synchronize();
        return espectra_emulated_take_findings(fault);
    }

    CudaContext context_;
    const ContractionShape part_{GetParam(), 3, 5, 9};
    Buffer<double, Space::device> memory_{context_, stored_doubles(part_)};
    Product product_ = stored_product<Space::device>(memory_.data(), part_);
    const Values a_ = write(product_.a, -2), b_ = write(product_.b, 1);
};

TEST_P(ContractionCalls, MultiplyStoredFactors) {
    Values expected;
    const auto a = make_view(a_.data(), part_.batches, part_.rows, part_.examples);
    const auto b = make_view(b_.data(), part_.batches, part_.columns, part_.examples);
    for (Index i = 0; i < part_.batches; ++i)
        for (Index row = 0; row < part_.rows; ++row)
            for (Index column = 0; column < part_.columns; ++column) {
                double sum = 0;
                for (Index e = 0; e < part_.examples; ++e) sum += a(i, row, e) * b(i, column, e);
                expected.push_back(sum);
            }
    multiply_factors(context_, product_);
    EXPECT_EQ(read(product_.c), expected);
    product_.add = true;
    multiply_factors(context_, product_);
    for (double& sum : expected) sum *= 2;
    EXPECT_EQ(read(product_.c), expected);
}

TEST_P(ContractionCalls, LeadingDimensionBelowTheRowsIsRefused) {
    for (auto* view : {&product_.a, &product_.b, &product_.c}) {
        const Index right = view->stride[1];
        view->stride[1] = view->extent[2] - 1;
        try {
            multiply_factors(context_, product_);
            ADD_FAILURE() << "not refused";
        } catch (const ResourceError& error) {
            EXPECT_NE(std::string(error.what()).find("CUBLAS_STATUS_INVALID_VALUE"), std::string::npos)
                << error.what();
        }
        view->stride[1] = right;
    }
}

TEST_P(ContractionCalls, LeadingDimensionWithoutThePaddingIsFound) {
    for (auto* view : {&product_.a, &product_.b}) {
        const Index right = view->stride[1];
        view->stride[1] = view->extent[2];
        multiply_factors(context_, product_);
        EXPECT_EQ(findings(ptx::Fault::uninitialized_memory), 1u);
        view->stride[1] = right;
    }
}

TEST_P(ContractionCalls, LeadingDimensionOfTheOtherAxisIsFound) {
    product_.b.stride[1] *= 16;
    multiply_factors(context_, product_);
    EXPECT_EQ(findings(ptx::Fault::out_of_bounds), 1u);
}

TEST_P(ContractionCalls, ProductsNotYetThereCannotBeAddedTo) {
    product_.add = true;
    multiply_factors(context_, product_);
    EXPECT_EQ(findings(ptx::Fault::uninitialized_memory), 1u);
}

TEST_P(ContractionCalls, FactorsOfDifferentShapesAreRefused) {
    for (const int axis : {1, 2}) {
        Product wrong = product_;
        --wrong.b.extent[axis];
        EXPECT_THROW(multiply_factors(context_, wrong), InputError);
    }
}

// One product is another routine than several.
INSTANTIATE_TEST_SUITE_P(Products, ContractionCalls, ::testing::Values(1, 2));

/// Ends the process and prints the way that is chosen for contractions of the digits network on a device, and
/// the bytes that they take; or what is thrown. The switch is read once, so that each value needs a process.
[[noreturn]] void exit_with_choice(const char* value, int major, int minor) {
    setenv("ESPECTRA_HESSIAN_PRODUCTS", value, 1);
    const ptx::EmulatedDevice device{.major = major, .minor = minor};
    espectra_emulated_set_devices(&device, 1);
    try {
        const CudaContext context;
        const Layer layers[] = {{.inputs = 64, .units = 25, .trainable_beta = true, .offsets = {}},
                                {.inputs = 25, .units = 10, .trainable_beta = true, .offsets = {}}};
        std::fprintf(stderr, "large %s, small %s, %zu bytes\n",
                     stores_factors(context, {1, 325, 2145, 1437}) ? "cublas" : "tiles",
                     stores_factors(context, {1, 1, 1, 1}) ? "cublas" : "tiles",
                     contraction_bytes(context, {layers, 2}, 1, 1437));
    } catch (const Error& error) {
        std::fprintf(stderr, "%s (exit status %d)\n", error.what(), error.exit_status());
    }
    std::_Exit(0);
}

TEST(ContractionSwitchDeathTest, ChoosesTheWay) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // The largest part is that of the two layers: 25 × ((66 + 270)·1440 + 66·272) numbers.
    const std::string bytes = "100358400 bytes";
    for (const auto& [value, major, minor, expected] :
         {std::tuple{"", 9, 0, "large cublas, small tiles, " + bytes},
          std::tuple{"", 12, 0, std::string("large tiles, small tiles, 0 bytes")},
          std::tuple{"tiles", 9, 0, std::string("large tiles, small tiles, 0 bytes")},
          std::tuple{"cublas", 12, 0, "large cublas, small cublas, " + bytes},
          std::tuple{
              "dgemm", 9, 0,
              std::string("ESPECTRA_HESSIAN_PRODUCTS=dgemm: expected tiles or cublas .exit status 2.")}})
        EXPECT_EXIT(exit_with_choice(value, major, minor), ::testing::ExitedWithCode(0), expected) << value;
}

}  // namespace
}  // namespace espectra
