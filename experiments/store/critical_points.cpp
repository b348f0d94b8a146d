#include "espectra/experiments/store/critical_points.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Column {
    const char* name;
    double (*value)(const CriticalPointRecord&);
};

// converged comes last: a record that has it is complete.
constexpr Column columns[] = {
    {"cost", [](const CriticalPointRecord& r) { return r.point.cost; }},
    {"gradient_norm", [](const CriticalPointRecord& r) { return r.point.gradient_norm; }},
    {"distance", [](const CriticalPointRecord& r) { return r.point.distance; }},
    {"alpha", [](const CriticalPointRecord& r) { return r.point.spectrum.alpha; }},
    {"gamma", [](const CriticalPointRecord& r) { return r.point.spectrum.gamma; }},
    {"gamma_dead", [](const CriticalPointRecord& r) { return r.point.spectrum.gamma_dead; }},
    {"gamma_dead_inputs", [](const CriticalPointRecord& r) { return r.point.spectrum.gamma_dead_inputs; }},
    {"gamma_dead_units", [](const CriticalPointRecord& r) { return r.point.spectrum.gamma_dead_units; }},
    {"gamma_symmetry", [](const CriticalPointRecord& r) { return r.point.spectrum.gamma_symmetry; }},
    {"gamma_numerical", [](const CriticalPointRecord& r) { return r.point.spectrum.gamma_numerical; }},
    {"tau", [](const CriticalPointRecord& r) { return r.point.spectrum.tolerance; }},
    {"trace_error", [](const CriticalPointRecord& r) { return r.point.spectrum.trace_error; }},
    {"symmetry_residual", [](const CriticalPointRecord& r) { return r.point.spectrum.symmetry_residual; }},
    {"iterations", [](const CriticalPointRecord& r) { return static_cast<double>(r.point.iterations); }},
    {"seconds", [](const CriticalPointRecord& r) { return r.seconds; }},
    {"outcome", [](const CriticalPointRecord& r) { return static_cast<double>(r.point.outcome); }},
    {"converged", [](const CriticalPointRecord& r) { return r.point.converged() ? 1.0 : 0.0; }},
};

std::string name(const PlannedNetwork& planned, const std::string& dataset) {
    return planned.name + "/critical_points/" + dataset;
}

Index replicas(const PlannedNetwork& planned) { return planned.recipe.replicas; }
Index count(const PlannedNetwork& planned) { return planned.recipe.critical_points.count(); }

void write_law(Hdf5File& file, const PlannedNetwork& planned, const std::string& prefix,
               const IndexLaw& law) {
    const std::string group = planned.name + "/critical_points";
    const auto write = [&](const char* what, const Estimate& e) {
        file.set_attribute(group, prefix + what, std::vector<double>{e.value, e.low, e.high});
    };
    write("_exponent", law.exponent);
    write("_coefficient", law.coefficient);
    write("_critical_cost", law.critical_cost);
    file.set_attribute(group, prefix + "_residual", law.residual);
    file.set_attribute(group, prefix + "_at_limit", std::int64_t{law.at_limit});
}

void write_attributes(Hdf5File& file, const PlannedNetwork& planned, const IndexLaw& three_halves,
                      const IndexLaw& free) {
    write_law(file, planned, "three_halves", three_halves);
    write_law(file, planned, "free", free);
}

std::string text(const Estimate& e) {
    return std::isnan(e.low) ? fmt::format("{:.4g}", e.value)
                             : fmt::format("{:.4g} [{:.4g}, {:.4g}]", e.value, e.low, e.high);
}

}  // namespace

void create_critical_points(Hdf5File& file, const PlannedNetwork& planned) {
    const CriticalPointSettings& settings = planned.recipe.critical_points;
    if (settings.count() == 0) return;
    const Index r = replicas(planned), k = count(planned), p = planned.network.parameters();
    const std::string group = planned.name + "/critical_points";
    file.create_group(group);
    file.set_attribute(group, "gradient_tolerance", settings.search.gradient_tolerance);
    file.set_attribute(group, "iterations", settings.search.iterations);
    file.set_attribute(group, "outcomes",
                       "0 converged, 1 most iterations, 2 stationary, 3 at infinity, 4 not finite");
    file.set_attribute(group, "law",
                       "alpha = coefficient * max(0, cost - critical_cost)^exponent at converged points; "
                       "value, low and high end of the 95 % interval");
    write_attributes(file, planned, {}, {});
    file.write(name(planned, "epoch"), {k}, settings.epochs);
    for (const Column& column : columns) file.create_dataset<double>(name(planned, column.name), {r, k});
    for (const char* dataset : {"theta", "eigenvalues"})
        file.create_dataset<double>(name(planned, dataset), {r, k, p});
}

double critical_points_size(const PlannedNetwork& planned) {
    const auto p = static_cast<double>(planned.network.parameters());
    return static_cast<double>(replicas(planned)) * static_cast<double>(count(planned)) *
           (static_cast<double>(std::size(columns)) + 2 * p);
}

std::vector<bool> complete_critical_points(const Hdf5File& file, const PlannedNetwork& planned) {
    std::vector<bool> complete;
    if (count(planned) == 0) return complete;
    for (const double value :
         file.read<double>(name(planned, "converged"), {replicas(planned), count(planned)}))
        complete.push_back(!std::isnan(value));
    return complete;
}

void write_critical_point(Hdf5File& file, const PlannedNetwork& planned, Index replica, Index index,
                          const CriticalPointRecord& record) {
    const Index p = planned.network.parameters();
    const bool finite = record.point.outcome != SearchOutcome::not_finite;
    const std::vector<double> none(static_cast<std::size_t>(p), nan);
    const auto write = [&](const char* dataset, const std::vector<double>& values) {
        file.write_slab(name(planned, dataset), {replica, index, 0}, {1, 1, p}, values.data());
    };
    write("theta", record.point.theta);
    write("eigenvalues", finite ? record.point.spectrum.eigenvalues : none);
    for (const Column& column : columns) {
        const std::string_view what = column.name;
        const bool always = what == "seconds" || what == "outcome" || what == "converged";
        const double value = finite || always ? column.value(record) : nan;
        file.write_slab(name(planned, column.name), {replica, index}, {1, 1}, &value);
    }
}

CriticalPointSummary summarize_critical_points(Hdf5File& file, const PlannedNetwork& planned) {
    CriticalPointSummary summary;
    summary.network = planned.name;
    summary.wanted = replicas(planned) * count(planned);
    if (summary.wanted == 0) return summary;
    const auto converged = file.read<double>(name(planned, "converged")),
               cost = file.read<double>(name(planned, "cost")),
               alpha = file.read<double>(name(planned, "alpha"));
    std::vector<IndexAtCost> points;
    for (std::size_t i = 0; i < converged.size(); ++i) {
        summary.done += !std::isnan(converged[i]);
        if (converged[i] == 1) points.push_back({cost[i], alpha[i], static_cast<Index>(i) / count(planned)});
    }
    summary.converged = std::ssize(points);
    summary.three_halves = fit_index_law(points, theoretical_exponent);
    summary.free = fit_index_law(points, std::nullopt);
    write_attributes(file, planned, summary.three_halves, summary.free);
    return summary;
}

std::string critical_points_text(const std::vector<CriticalPointSummary>& summaries) {
    std::string lines;
    for (const CriticalPointSummary& summary : summaries) {
        if (summary.wanted == 0) continue;
        lines += fmt::format("critical points of {}: {} of {} searches converged", summary.network,
                             summary.converged, summary.done);
        if (summary.done < summary.wanted) lines += fmt::format(" ({} wanted)", summary.wanted);
        const auto law = [](const IndexLaw& fit) {
            return fmt::format("c = {}, critical cost = {}, rms = {:.2g}{}", text(fit.coefficient),
                               text(fit.critical_cost), fit.residual,
                               fit.at_limit ? " (at an end of its range: no such law)" : "");
        };
        lines += summary.three_halves.found() ? fmt::format("\n  alpha = c (cost - critical cost)^1.5: {}\n",
                                                            law(summary.three_halves))
                                              : "; too few distinct critical points for alpha against cost\n";
        if (summary.free.found())
            lines += fmt::format("  with a free exponent: {}, {}\n", text(summary.free.exponent),
                                 law(summary.free));
        else if (summary.three_halves.found())
            lines += "  too few distinct critical points for a free exponent\n";
    }
    return lines;
}

}  // namespace espectra
