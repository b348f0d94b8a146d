#pragma once

#include "espectra/experiments/benchmarks/operations/arguments.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

namespace espectra {

/// A float64 matrix product and a copy that are far larger than the caches, for the ceilings of rates.
struct CeilingSizes {
    Index copy_bytes, product_rows;
};

/// Median of at least five repetitions, of up to 51 if they take less than half a second. A Meter measures on
/// a backend:
///   double seconds(const std::function<void()>& work);   time that work takes on the device
///   void flush_cache();                                  makes arguments come from memory
template <class Meter>
double median_seconds(Meter& meter, const Operation& operation) {
    std::vector<double> seconds;
    const auto repetition = [&] {
        if (operation.restore) operation.restore();
        meter.flush_cache();
        return meter.seconds(operation.run);
    };
    repetition();  // libraries initialise themselves in the first call
    const Timer total;
    while (seconds.size() < 5 || (total.seconds() < 0.5 && seconds.size() < 51))
        seconds.push_back(repetition());
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::ranges::nth_element(seconds, middle);
    return *middle;
}

}  // namespace espectra
