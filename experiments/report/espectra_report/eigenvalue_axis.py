"""An axis for eigenvalues of both signs that span many decades: two logarithmic halves with a slot for the
zeros between them.

An eigenvalue is zero if |λ| ≤ τ|λ|max (docs/mathematics.md, 8), so nothing lies between the slot and the
smallest magnitude on the axis, and a peak in the slot is no artefact of binning. Positions on the axis are in
decades. R, E and P as in `results`.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log10

import numpy as np

from espectra_report.results import ReportError
from espectra_report.style import RAISED

MOST_DECADES = 20  # of one half; smaller magnitudes are counted in its innermost bin


def resolved(network, replica):
    """Returns the eigenvalues (E, P) of a replica, with 0 for those that are zero within τ, and NaN where
    there is no record. τ is that of the file, or 4Pε if the file has none."""
    values = network.eigenvalues(replica)
    recorded = network.recorded[replica]
    values[~recorded] = np.nan
    if not np.isfinite(values[recorded]).all():
        raise ReportError(f"{network.run.path}: {network.name}: eigenvalues of replica {replica}: expected finite numbers in every record")
    magnitude = np.abs(values)
    values[magnitude <= (network.tau(replica) * magnitude.max(axis=1))[:, None]] = 0
    return values


@dataclass(frozen=True)
class EigenvalueAxis:
    """An axis from −10^negative to −10^lowest, the slot of the zeros, and from 10^lowest to 10^positive. A
    half without decades is absent."""

    lowest: int
    negative: int
    positive: int
    bins_per_decade: int

    @classmethod
    def over(cls, spectra, count):
        """Returns the shortest axis of whole decades for all `spectra` (resolved, of any shapes), with bins
        for `count` eigenvalues at a time."""
        smallest, most_negative, largest = np.inf, 0.0, 0.0
        for values in spectra:
            values = values[~np.isnan(values)]
            nonzero = np.abs(values[values != 0])
            if len(nonzero):
                smallest = min(smallest, nonzero.min())
                most_negative = max(most_negative, -values.min())
                largest = max(largest, values.max())
        bins = 2 if count < 400 else 4 if count < 20000 else 8
        if smallest == np.inf:
            return cls(0, 0, 0, bins)
        ends = [ceil(log10(end)) if end > 0 else None for end in (most_negative, largest)]
        lowest = max(floor(log10(smallest)), max(end for end in ends if end is not None) - MOST_DECADES)
        negative, positive = (lowest if end is None else max(end, lowest + 1) for end in ends)
        return cls(lowest, negative, positive, bins)

    @property
    def half_slot(self):
        """Half the width of the zeros' slot."""
        return max(0.5, 0.045 * (self.negative + self.positive - 2 * self.lowest))

    @cached_property
    def magnitudes(self):
        """Edges of the bins of the longer half, ascending."""
        decades = max(self.negative, self.positive) - self.lowest
        return 10.0 ** (self.lowest + np.arange(decades * self.bins_per_decade + 1) / self.bins_per_decade)

    @property
    def zero(self):
        """Index of the bin that is the slot of the zeros."""
        return (self.negative - self.lowest) * self.bins_per_decade

    @cached_property
    def edges(self):
        """Positions of the edges of all bins (bins + 1), ascending."""
        halves = [self.half_slot + np.arange((end - self.lowest) * self.bins_per_decade + 1) / self.bins_per_decade
                  for end in (self.negative, self.positive)]
        return np.concatenate([-halves[0][::-1], halves[1]])

    def position(self, values):
        """Returns the positions of eigenvalues: 0 for zeros, NaN for NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            decades = np.maximum(np.log10(np.abs(values)) - self.lowest, 0)
            return np.where(values == 0, 0.0, np.sign(values) * (self.half_slot + decades))

    def counts(self, spectra):
        """Returns the numbers (…, bins) of eigenvalues of `spectra` (…, P) per bin. A bin holds lower ≤ |λ| <
        upper end; NaN is not counted."""
        rows = spectra.reshape(-1, spectra.shape[-1])
        bins = len(self.edges) - 1
        bin_of = np.clip(np.searchsorted(self.magnitudes, np.abs(rows), side="right"), 1, max(len(self.magnitudes) - 1, 1))
        bin_of = np.clip(self.zero + np.where(rows == 0, 0, np.where(rows < 0, -bin_of, bin_of)), 0, bins - 1)
        flat = (np.arange(len(rows))[:, None] * bins + bin_of)[~np.isnan(rows)]
        return np.bincount(flat, minlength=len(rows) * bins).reshape(*spectra.shape[:-1], bins)

    def ticks(self, most):
        """Returns the positions and labels of about `most` powers of ten, with space around the 0."""
        step = max(1, ceil((self.negative + self.positive - 2 * self.lowest + 2 * self.half_slot) / most))
        positions, labels = [0.0], ["0"]
        for sign, end in (("−", self.negative), ("", self.positive)):
            exponents = [k for k in range(self.lowest, end + 1) if k % step == 0 and self.half_slot + k - self.lowest >= 0.8 * step]
            for k in exponents or [end] * (end > self.lowest):
                positions.append((-1 if sign else 1) * (self.half_slot + k - self.lowest))
                labels.append(f"{sign}10{str(k).translate(RAISED)}")
        return positions, labels

    def apply(self, axis, most=7):
        """Sets the limits and ticks of a matplotlib axis (`axes.xaxis` or `axes.yaxis`) and draws a grey band
        in the slot of the zeros."""
        positions, labels = self.ticks(most)
        axis.set_ticks(positions, labels)
        decades = [self.half_slot + k for k in range(max(self.negative, self.positive) - self.lowest + 1)]
        minor = [-p for p in decades if -p >= self.edges[0]] + [p for p in decades if p <= self.edges[-1]]
        axis.set_ticks(minor, minor=True)
        limits, band = ("set_xlim", "axvspan") if axis.axis_name == "x" else ("set_ylim", "axhspan")
        margin = 0.01 * (self.edges[-1] - self.edges[0])
        getattr(axis.axes, limits)(self.edges[0] - margin, self.edges[-1] + margin)
        getattr(axis.axes, band)(-self.half_slot, self.half_slot, facecolor="0.93", edgecolor="none", zorder=-1)


def with_spectra(comparison):
    return [network for network in comparison.networks if network.has_spectra]


def recorded_epochs(networks):
    """Returns the epochs at which any replica of any of the networks has a record, ascending."""
    return np.unique(np.concatenate([network.epoch[network.recorded.any(axis=0)] for network in networks]))


def pooled_fractions(networks, epochs):
    """Returns the axis over all replicas' spectra at these epochs, and for each network the fractions
    (epochs, bins) of all its eigenvalues.

    The fractions of an epoch add up to 1, or are NaN if no replica of the network has a record.
    """
    rows = [np.searchsorted(network.epoch, epochs).clip(max=network.snapshots - 1) for network in networks]
    there = [network.epoch[row] == epochs for network, row in zip(networks, rows)]

    def spectra():
        for n, network in enumerate(networks):
            for replica in range(network.replicas):
                yield n, resolved(network, replica)[rows[n][there[n]]]

    axis = EigenvalueAxis.over((values for _, values in spectra()), min(network.replicas * network.parameters for network in networks))
    counts = [np.zeros((len(epochs), len(axis.edges) - 1)) for _ in networks]
    for n, values in spectra():
        counts[n][there[n]] += axis.counts(values)
    totals = [count.sum(axis=1, keepdims=True) for count in counts]
    return axis, [np.divide(count, total, out=np.full(count.shape, np.nan), where=total > 0) for count, total in zip(counts, totals)]
