// Mini-batches on a device: whole numbers and copies, so the same bits as on the CPU.

#include "espectra/kernels/batches.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

// Around blocks of 256 examples, and epochs whose numbers of examples exceed 32 bits.
TYPED_TEST(Device, ExamplesAreOrderedByRandomNumbers) {
    for (const Index examples : {1, 2, 255, 256, 257, 600})
        for (const std::int64_t t : {std::int64_t{0}, std::int64_t{11}, std::int64_t{1} << 34}) {
            SCOPED_TRACE(std::to_string(examples) + " examples, update " + std::to_string(t));
            const auto work = [&](auto& context) {
                auto seeds = sliced(context, std::vector<std::uint64_t>{3, ~std::uint64_t{0}}, 2);
                auto counter = sliced(context, std::vector<std::int64_t>{t}, 1);
                SlicedArray<std::remove_reference_t<decltype(context)>, std::uint64_t, 2> keys(context,
                                                                                               {2, examples});
                SlicedArray<std::remove_reference_t<decltype(context)>, std::int64_t, 2> order(context,
                                                                                               {2, examples});
                order_examples(context, {.seeds = seeds.view(),
                                         .counter = counter.view(),
                                         .updates_per_epoch = 4,
                                         .keys = keys.view(),
                                         .order = order.view()});
                Values results;
                keys.append_to(results);
                order.append_to(results);
                return results;
            };
            this->on_both(work, [](const Values& x, const Values& y) { EXPECT_TRUE(identical(x, y)); });
        }
}

// Batches around 128 examples, and the rest of an epoch.
TYPED_TEST(Device, ExamplesAreGathered) {
    constexpr Index inputs = 3, outputs = 2, examples = 290;
    for (const Index batch_size : {1, 127, 128, 130})
        for (const bool rest : {false, true}) {
            const std::int64_t updates = (examples + batch_size - 1) / batch_size;
            const Index count = rest ? examples - (updates - 1) * batch_size : batch_size;
            SCOPED_TRACE(std::to_string(count) + " examples");
            const auto work = [&](auto& context) {
                std::vector<std::int64_t> orders;
                for (Index r = 0; r < 2; ++r)
                    for (Index e = 0; e < examples; ++e) orders.push_back((7 * e + r) % examples);
                auto order = sliced(context, orders, 2, examples);
                auto counter =
                    sliced(context, std::vector<std::int64_t>{3 * updates + (rest ? updates - 1 : 1)}, 1);
                auto features = sliced(context, whole_numbers(inputs * examples, 1), inputs, examples),
                     targets = sliced(context, whole_numbers(outputs * examples, 2), outputs, examples);
                auto batch_features = sliced_results(context, 2, inputs, count),
                     batch_targets = sliced_results(context, 2, outputs, count);
                gather_examples(context, {.order = order.view(),
                                          .counter = counter.view(),
                                          .updates_per_epoch = updates,
                                          .batch_size = batch_size,
                                          .features = features.view(),
                                          .targets = targets.view(),
                                          .batch_features = batch_features.view(),
                                          .batch_targets = batch_targets.view()});
                Values results;
                batch_features.append_to(results);
                batch_targets.append_to(results);
                return results;
            };
            this->on_both(work, [](const Values& x, const Values& y) { EXPECT_TRUE(identical(x, y)); });
        }
}

}  // namespace
}  // namespace espectra::test
