#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/store/dataset.hpp"
#include "espectra/experiments/store/records.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

// The datasets of a network's group in results.h5, each described once. These tables determine the layout of
// the file, the writing of records, the check of a file that is resumed, the estimate of its size, the
// attributes of the datasets, the tests' lists and the tables in docs/file-formats.md.

namespace espectra {

inline constexpr Condition with_gauss_newton = {
    "with `spectrum.gauss_newton`",
    [](const PlannedNetwork& planned) { return planned.recipe.spectrum.gauss_newton; }};
inline constexpr Condition with_eigenvectors = {
    "with `spectrum.eigenvectors`",
    [](const PlannedNetwork& planned) { return planned.recipe.spectrum.eigenvectors; }};
inline constexpr Condition with_test_examples = {
    "if there are test examples",
    [](const PlannedNetwork& planned) { return planned.data->test_examples > 0; }};

/// Datasets of the group itself that are not columns of the snapshots' records.
inline constexpr Dataset epoch_dataset = {
    "epoch", {Axis::snapshot}, "number of updates done", always, false, Summary::none, Numbers::int64};
inline constexpr Dataset theta_initial_dataset = {
    "theta_initial", {Axis::replica, Axis::parameter}, "θ before the first update"};
inline constexpr Dataset seconds_training_dataset = {
    "seconds_training",
    {Axis::replica},
    "duration of the training; NaN until the last snapshot of the replica has been reached"};

namespace schema {

inline constexpr Axes per_snapshot = {Axis::replica, Axis::snapshot};
inline constexpr Axes per_search = {Axis::replica, Axis::search};
using Record = SnapshotRecord;
using Search = CriticalPointRecord;
using Values = std::vector<double>;

}  // namespace schema

/// Columns of the snapshots' records.
inline constexpr auto snapshot_columns = std::to_array<Column<SnapshotRecord>>({
    {{"theta", {Axis::replica, Axis::snapshot, Axis::parameter}, "θ after `epoch` updates"},
     [](const schema::Record& r) -> const schema::Values& { return r.theta; }},
    {{"cost", schema::per_snapshot, "training loss", always, true, Summary::median},
     [](const schema::Record& r) { return r.cost; }},
    {{"gradient_norm", schema::per_snapshot, "Euclidean norm of the gradient of the training loss"},
     [](const schema::Record& r) { return r.gradient_norm; }},
    {{"accuracy_train", schema::per_snapshot,
      "fraction of training examples classified right; NaN for regression", always, true, Summary::median},
     [](const schema::Record& r) { return r.accuracy_train; }},
    {{"accuracy_test", schema::per_snapshot,
      "fraction of test examples classified right; NaN for regression and without test examples", always,
      true, Summary::median},
     [](const schema::Record& r) { return r.accuracy_test; }},
    {{"zero_residuals", schema::per_snapshot,
      "fraction of the m·C training residuals with magnitude at most 1e-5", always, true},
     [](const schema::Record& r) { return r.zero_residuals; }},
    {{"eigenvalues",
      {Axis::replica, Axis::snapshot, Axis::eigenvalue},
      "eigenvalues of the exact Hessian, ascending; deflated rows are exact zeros"},
     [](const schema::Record& r) -> const schema::Values& { return r.spectrum.eigenvalues; }},
    {{"alpha", schema::per_snapshot, "fraction of eigenvalues below −τ; written last: NaN means no record",
      always, true, Summary::median},
     [](const schema::Record& r) { return r.spectrum.alpha; }},
    {{"gamma", schema::per_snapshot, "fraction of eigenvalues with magnitude at most τ", always, true,
      Summary::median},
     [](const schema::Record& r) { return r.spectrum.gamma; }},
    {{"gamma_dead", schema::per_snapshot, "fraction of parameters whose Hessian row is exactly zero", always,
      true, Summary::median},
     [](const schema::Record& r) { return r.spectrum.gamma_dead; }},
    {{"gamma_dead_inputs", schema::per_snapshot,
      "part of `gamma_dead`: weights of features that are 0 in all training examples"},
     [](const schema::Record& r) { return r.spectrum.gamma_dead_inputs; }},
    {{"gamma_dead_units", schema::per_snapshot, "the rest of `gamma_dead`: dead ReLU units"},
     [](const schema::Record& r) { return r.spectrum.gamma_dead_units; }},
    {{"gamma_symmetry", schema::per_snapshot,
      "fraction of eigenvalues that the scaling symmetries prove to be zero at τ"},
     [](const schema::Record& r) { return r.spectrum.gamma_symmetry; }},
    {{"gamma_numerical", schema::per_snapshot,
      "the rest of `gamma`: `gamma` − `gamma_dead` − `gamma_symmetry`, at least 0"},
     [](const schema::Record& r) { return r.spectrum.gamma_numerical; }},
    {{"tau", schema::per_snapshot, "tolerance τ, relative to the largest magnitude of an eigenvalue"},
     [](const schema::Record& r) { return r.spectrum.tolerance; }},
    {{"trace", schema::per_snapshot, "trace of the Hessian"},
     [](const schema::Record& r) { return r.spectrum.trace; }},
    {{"frobenius", schema::per_snapshot, "Frobenius norm of the Hessian"},
     [](const schema::Record& r) { return r.spectrum.frobenius; }},
    {{"trace_error", schema::per_snapshot,
      "certificate: the eigenvalues against the trace and the Frobenius norm", always, false,
      Summary::largest},
     [](const schema::Record& r) { return r.spectrum.trace_error; }},
    {{"solved_again", schema::per_snapshot,
      "eigensolves that were repeated by themselves, since in a batch they violated the certificate: "
      "0 or 1, up to 2 with the Gauss–Newton part",
      always, false, Summary::total, Numbers::float64, true},
     [](const schema::Record& r) { return static_cast<double>(r.spectrum.solved_again); }},
    {{"symmetry_residual", schema::per_snapshot,
      "certificate: the Hessian against the scaling symmetries; NaN for networks without one", always, false,
      Summary::largest},
     [](const schema::Record& r) { return r.spectrum.symmetry_residual; }},
    {{"seconds_hessian", schema::per_snapshot,
      "duration of the Hessian on one worker; replicas that were analysed together have equal shares", always,
      false, Summary::total},
     [](const schema::Record& r) { return r.spectrum.seconds_hessian; }},
    {{"seconds_eigen", schema::per_snapshot, "duration of the eigensolve, likewise", always, false,
      Summary::total},
     [](const schema::Record& r) { return r.spectrum.seconds_eigen; }},
    {{"eigenvalues_gauss_newton",
      {Axis::replica, Axis::snapshot, Axis::eigenvalue},
      "eigenvalues of the Gauss–Newton part of the Hessian, ascending",
      with_gauss_newton},
     [](const schema::Record& r) -> const schema::Values& { return r.spectrum.gauss_newton; }},
    {{"inverse_participation_ratio",
      {Axis::replica, Axis::snapshot, Axis::eigenvalue},
      "inverse participation ratio Σ vᵢ⁴ of each eigenvector, from 1/P to 1",
      with_eigenvectors},
     [](const schema::Record& r) -> const schema::Values& { return r.spectrum.participation; }},
    {{"eigenvectors",
      {Axis::replica, Axis::snapshot, Axis::eigenvalue, Axis::parameter},
      "row e is the unit eigenvector of eigenvalue e",
      with_eigenvectors},
     [](const schema::Record& r) -> const schema::Values& { return r.spectrum.eigenvectors; }},
});

/// The column that is written last: a record that has it is complete.
inline constexpr const Column<SnapshotRecord>& snapshot_marker =
    snapshot_columns[position_in(snapshot_columns, "alpha")];

/// The other dataset of the group `critical_points`.
inline constexpr Dataset search_epoch_dataset = {
    "epoch",       {Axis::search}, "epochs of the snapshots where the searches began", always, false,
    Summary::none, Numbers::int64};

/// Columns of the records of searches, in the group `critical_points`.
inline constexpr auto critical_point_columns = std::to_array<Column<CriticalPointRecord>>({
    {{"outcome", schema::per_search,
      "0 converged, 1 most iterations, 2 stationary, 3 at infinity, 4 not finite"},
     [](const schema::Search& r) { return static_cast<double>(r.point.outcome); }},
    {{"converged", schema::per_search, "1 or 0; written last: NaN means no record"},
     [](const schema::Search& r) { return r.point.converged() ? 1.0 : 0.0; }},
    {{"theta", {Axis::replica, Axis::search, Axis::parameter}, "θ where the search ended, converged or not"},
     [](const schema::Search& r) -> const schema::Values& { return r.point.theta; }},
    {{"distance", schema::per_search, "Euclidean distance from the snapshot's θ"},
     [](const schema::Search& r) { return r.if_finite(r.point.distance); }},
    {{"iterations", schema::per_search, "steps taken"},
     [](const schema::Search& r) { return r.if_finite(static_cast<double>(r.point.iterations)); }},
    {{"seconds", schema::per_search, "duration of the search"},
     [](const schema::Search& r) { return r.seconds; }},
    {{"cost", schema::per_search, "training loss at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.cost); }},
    {{"gradient_norm", schema::per_search, "Euclidean norm of the gradient of the training loss at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.gradient_norm); }},
    {{"eigenvalues",
      {Axis::replica, Axis::search, Axis::eigenvalue},
      "eigenvalues of the exact Hessian at `theta`, ascending"},
     [](const schema::Search& r) -> const schema::Values& { return r.point.spectrum.eigenvalues; }},
    {{"alpha", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.alpha); }},
    {{"gamma", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.gamma); }},
    {{"gamma_dead", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.gamma_dead); }},
    {{"gamma_dead_inputs", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.gamma_dead_inputs); }},
    {{"gamma_dead_units", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.gamma_dead_units); }},
    {{"gamma_symmetry", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.gamma_symmetry); }},
    {{"gamma_numerical", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.gamma_numerical); }},
    {{"tau", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.tolerance); }},
    {{"trace_error", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.trace_error); }},
    {{"symmetry_residual", schema::per_search, "as of a snapshot, at `theta`"},
     [](const schema::Search& r) { return r.if_finite(r.point.spectrum.symmetry_residual); }},
});

inline constexpr const Column<CriticalPointRecord>& search_marker =
    critical_point_columns[position_in(critical_point_columns, "converged")];

/// Datasets of the group `data`. The values of a DataSet are feature by feature; the file has them example by
/// example.
inline constexpr auto data_columns = std::to_array<Column<DataSet>>({
    {{"X_train",
      {Axis::train_example, Axis::feature},
      "features as the network sees them: after split and scaling"},
     [](const DataSet& d) -> const schema::Values& { return d.x_train; }},
    {{"Y_train",
      {Axis::train_example, Axis::output},
      "targets: one 0/1 column or one column per class, or the targets of a regression"},
     [](const DataSet& d) -> const schema::Values& { return d.y_train; }},
    {{"X_test", {Axis::test_example, Axis::feature}, "features of the test examples", with_test_examples},
     [](const DataSet& d) -> const schema::Values& { return d.x_test; }},
    {{"Y_test", {Axis::test_example, Axis::output}, "targets of the test examples", with_test_examples},
     [](const DataSet& d) -> const schema::Values& { return d.y_test; }},
});

/// One of the columns of the snapshots' records for which `chosen` holds. It is made from a name; one that is
/// not among them does not compile.
template <bool (*chosen)(const Dataset&)>
class ChosenColumn {
  public:
    static constexpr std::size_t count =
        static_cast<std::size_t>(std::ranges::count_if(snapshot_columns, chosen));

    consteval ChosenColumn(const char* name) : position_(position_of(name)) {}

    /// All of them, in the order of the columns.
    static constexpr std::array<ChosenColumn, count> all() {
        return []<std::size_t... i>(std::index_sequence<i...>) { return std::array{ChosenColumn(i)...}; }
        (std::make_index_sequence<count>());
    }

    constexpr std::size_t position() const { return position_; }
    constexpr const Column<SnapshotRecord>& column() const { return snapshot_columns[places[position_]]; }
    constexpr std::string_view name() const { return column().name; }

  private:
    constexpr explicit ChosenColumn(std::size_t position) : position_(position) {}

    static constexpr std::array<std::size_t, count> places = [] {
        std::array<std::size_t, count> found{};
        for (std::size_t place = 0, next = 0; place < snapshot_columns.size(); ++place)
            if (chosen(snapshot_columns[place])) found[next++] = place;
        return found;
    }();
    static consteval std::size_t position_of(std::string_view name) {
        for (std::size_t i = 0; i < count; ++i)
            if (snapshot_columns[places[i]].name == name) return i;
        throw std::logic_error("not among the chosen columns");
    }

    std::size_t position_;
};

/// One value for each of the chosen columns, found by its name.
template <class Chosen, class T>
class PerColumn {
  public:
    constexpr T& operator[](Chosen column) { return values_[column.position()]; }
    constexpr const T& operator[](Chosen column) const { return values_[column.position()]; }

  private:
    std::array<T, Chosen::count> values_ = {};
};

constexpr bool statistics_are_computed(const Dataset& dataset) { return dataset.statistics; }
constexpr bool is_summarized(const Dataset& dataset) { return dataset.summary != Summary::none; }

/// A column whose statistics over the replicas are computed.
using Statistic = ChosenColumn<statistics_are_computed>;
/// A column of which the summary has one number for each network.
using SummaryColumn = ChosenColumn<is_summarized>;

template <class T>
using PerStatistic = PerColumn<Statistic, T>;

// Datasets of the group `statistics`, which networks with several replicas have.

/// Returns the dataset of the quartiles of a statistic at each epoch.
constexpr Dataset quartiles_dataset(Statistic statistic) {
    return {statistic.name(),
            {Axis::snapshot, Axis::quartiles},
            "over the replicas: median, first and third quartile, ends of the median's interval"};
}

inline constexpr auto statistics_datasets = std::to_array<Dataset>({
    {"failed",
     {Axis::estimate},
     "fraction of replicas without a last record (diverged, or no spectrum), with its interval"},
    {"untrained",
     {Axis::estimate},
     "of the others, the fraction whose last cost is at least 99 % of that of the best constant output, with "
     "its interval: dead networks are among them"},
    {"alpha_against_cost",
     {Axis::cost_bin, Axis::bin_medians},
     "all records of all replicas and epochs in twenty bins of equal numbers, by cost: median cost, median "
     "α, "
     "its quartiles, median γ, number of records"},
    {"tau",
     {Axis::tolerance},
     "tolerances from 1e-16 to 1e-1, relative to the largest magnitude of an eigenvalue"},
    {"alpha_of_tau",
     {Axis::tolerance, Axis::tolerance_quartiles},
     "α(τ) at the last epoch: median and quartiles over the replicas"},
    {"gamma_of_tau",
     {Axis::tolerance, Axis::tolerance_quartiles},
     "γ(τ) at the last epoch: median and quartiles over the replicas"},
});

/// Returns the dataset of a comparison with another network; `name`, "paired/" and the name of the other's
/// group, has to outlive it.
constexpr Dataset paired_dataset(std::string_view name) {
    return {
        name,
        {Axis::statistic, Axis::comparison},
        "against each group that differs in the activation alone (and in β, where only one of the two has an "
        "esp layer), over the same seeds, at the last epoch: median of (this − other) with its interval, "
        "fraction of the seeds where this one is lower (ties by half) with its interval"};
}

}  // namespace espectra
