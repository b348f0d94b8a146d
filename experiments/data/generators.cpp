#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/random.hpp"

#include <cmath>
#include <numbers>

namespace espectra {

namespace {

struct Point {
    double x, y;
};

/// Draws the examples of class 0, then those of class 1: points are proposed until each class has its number.
/// `propose(draw, label)` makes a point from numbers of the stream, `accept(point, label)` returns true if
/// the point lies on that class's side.
template <class Propose, class Accept>
RawData draw_two_classes(const char* source, Index count_0, Index count_1, Propose propose, Accept accept) {
    RawData raw;
    raw.source = source;
    raw.examples = count_0 + count_1;
    raw.feature_count = 2;
    raw.classes = 2;
    std::uint64_t draw = 0;
    for (int label = 0; label < 2; ++label) {
        for (Index found = 0; found < (label == 0 ? count_0 : count_1);) {
            const Point point = propose(draw, label);
            draw += 2;
            if (!accept(point, label)) continue;
            raw.features.insert(raw.features.end(), {point.x, point.y});
            raw.labels.push_back(label);
            ++found;
        }
    }
    return raw;
}

}  // namespace

RawData generate_linear(std::uint64_t seed) {
    const RandomStream stream(seed, generator_stream);
    // Two round clouds, restricted to [0, 4.5] × [0, 5] and at least `margin` away from the line x + y =
    // offset.
    constexpr double spread = 0.75;
    constexpr double margin = 0.15;
    constexpr double offset = 4.9;
    constexpr Point centre[2] = {{1.5, 2.0}, {3.0, 3.6}};
    return draw_two_classes(
        "linear", 30, 21,
        [&](std::uint64_t draw, int label) {
            return Point{centre[label].x + spread * stream.normal(draw),
                         centre[label].y + spread * stream.normal(draw + 1)};
        },
        [&](Point point, int label) {
            const bool inside = point.x >= 0.0 && point.x <= 4.5 && point.y >= 0.0 && point.y <= 5.0;
            const double distance = (point.x + point.y - offset) / std::numbers::sqrt2;
            return inside && (label == 0 ? -distance : distance) >= margin;
        });
}

RawData generate_nonlinear(std::uint64_t seed) {
    const RandomStream stream(seed, generator_stream);
    // Uniform on the unit square, split by one and a half periods of a sine: two bumps that reach into each
    // other.
    constexpr double amplitude = 0.27;
    constexpr double gap = 0.03;  // least vertical distance from the boundary
    return draw_two_classes(
        "nonlinear", 383, 480,
        [&](std::uint64_t draw, int) {
            return Point{stream.uniform(draw), stream.uniform(draw + 1)};
        },
        [&](Point point, int label) {
            const double boundary = 0.5 + amplitude * std::sin(3.0 * std::numbers::pi * point.x);
            return (label == 0 ? boundary - point.y : point.y - boundary) >= gap;
        });
}

}  // namespace espectra
