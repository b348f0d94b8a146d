#include "espectra/experiments/store/critical_points.hpp"

#include "espectra/experiments/store/network_group.hpp"
#include "espectra/experiments/store/schema.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

namespace espectra {

namespace {

std::string group_of(const PlannedNetwork& planned) { return planned.name + "/critical_points"; }

Index count(const PlannedNetwork& planned) { return planned.recipe.critical_points.count(); }

/// Reads a column by its name; one that is not in the table does not compile.
class SearchColumn {
  public:
    consteval SearchColumn(const char* name) : position_(position_in(critical_point_columns, name)) {}
    std::vector<double> read(const Hdf5File& file, const PlannedNetwork& planned) const {
        return file.read<double>(
            fmt::format("{}/{}", group_of(planned), critical_point_columns[position_].name));
    }

  private:
    std::size_t position_;
};

/// Returns the attributes of both laws.
Attributes laws(const IndexLaw& three_halves, const IndexLaw& free) {
    Attributes attributes;
    for (const auto& [prefix, law] : {std::pair("three_halves", &three_halves), std::pair("free", &free)}) {
        const auto add = [&, prefix = std::string(prefix)](const char* name, AttributeValue value) {
            attributes.emplace_back(prefix + name, std::move(value));
        };
        const auto list = [](const Estimate& e) { return std::vector<double>{e.value, e.low, e.high}; };
        add("_exponent", list(law->exponent));
        add("_coefficient", list(law->coefficient));
        add("_critical_cost", list(law->critical_cost));
        add("_residual", law->residual);
        add("_at_limit", std::int64_t{law->at_limit});
    }
    return attributes;
}

std::string text(const Estimate& e) {
    return std::isnan(e.low) ? fmt::format("{:.4g}", e.value)
                             : fmt::format("{:.4g} [{:.4g}, {:.4g}]", e.value, e.low, e.high);
}

}  // namespace

void lay_out_critical_points(Hdf5File& file, const PlannedNetwork& planned) {
    const CriticalPointSettings& settings = planned.recipe.critical_points;
    if (settings.count() == 0) return;
    const std::string group = group_of(planned);
    const auto& outcome = critical_point_columns[position_in(critical_point_columns, "outcome")];
    Attributes attributes = laws({}, {});
    attributes.insert(attributes.end(),
                      {{"gradient_tolerance", settings.search.gradient_tolerance},
                       {"iterations", settings.search.iterations},
                       {"outcomes", std::string(outcome.meaning)},
                       {"law",
                        "alpha = coefficient * max(0, cost - critical_cost)^exponent at converged points; "
                        "value, low and high end of the 95 % interval"}});
    file.create_group(group, attributes);
    lay_out(file, group, search_epoch_dataset, planned);
    file.write_slab(fmt::format("{}/{}", group, search_epoch_dataset.name), {0}, {settings.count()},
                    settings.epochs.data());
    for (const Column<CriticalPointRecord>& column : critical_point_columns)
        lay_out(file, group, column, planned);
}

double critical_points_size(const PlannedNetwork& planned) {
    double numbers = numbers_in(search_epoch_dataset, planned);
    for (const Column<CriticalPointRecord>& column : critical_point_columns)
        numbers += numbers_in(column, planned);
    return numbers;
}

std::vector<bool> complete_critical_points(const Hdf5File& file, const PlannedNetwork& planned) {
    if (count(planned) == 0) return {};
    return complete_records(file, group_of(planned), search_marker, planned);
}

void write_critical_point(Hdf5File& file, const PlannedNetwork& planned, Index replica, Index index,
                          const CriticalPointRecord& record) {
    const auto write = [&](const Column<CriticalPointRecord>& column) {
        write_column<CriticalPointRecord>(file, group_of(planned), column, planned, replica, index,
                                          {&record, 1});
    };
    for (const Column<CriticalPointRecord>& column : critical_point_columns)
        if (&column != &search_marker) write(column);
    write(search_marker);
}

CriticalPointSummary summarize_critical_points(Hdf5File& file, const PlannedNetwork& planned) {
    CriticalPointSummary summary;
    summary.network = planned.name;
    summary.wanted = planned.recipe.replicas * count(planned);
    if (summary.wanted == 0) return summary;
    const auto converged = SearchColumn("converged").read(file, planned),
               cost = SearchColumn("cost").read(file, planned),
               alpha = SearchColumn("alpha").read(file, planned);
    std::vector<IndexAtCost> points;
    for (std::size_t i = 0; i < converged.size(); ++i) {
        summary.done += !std::isnan(converged[i]);
        if (converged[i] == 1) points.push_back({cost[i], alpha[i], static_cast<Index>(i) / count(planned)});
    }
    summary.converged = std::ssize(points);
    summary.three_halves = fit_index_law(points, theoretical_exponent);
    summary.free = fit_index_law(points, std::nullopt);
    file.set_attributes(group_of(planned), laws(summary.three_halves, summary.free));
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
