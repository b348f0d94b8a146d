"""Data of the page's interactive plots, compact enough for the limit of the page.

Every network has its curves: rows of Float32 over the epochs, first the median and the quartiles over the
replicas, then single replicas. Its spectra are the eigenvalues themselves (Float32 in units of `scale`, a
power of two near the largest magnitude, so that seven digits of each are correct) or, if these do not fit,
histograms of the first replica (uint8 if P < 256, else uint16). Arrays are base64.

The axis of eigenvalues is x = sign(λ) · (gap + log₁₀(1 + |λ|/λ₀)); the gap around 0 holds the eigenvalues
that are zero within τ.
"""

import base64
import math

import numpy as np

from espectra_report import style

CURVES = ("cost", "gradient_norm", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead")
SMALLEST = np.float32(np.finfo(np.float32).tiny)
LARGEST = np.finfo(np.float32).max
DASHES = {"-": "solid"}


def dash(line):
    """Returns Plotly's name for a line style of Matplotlib at a width of 2 px: lengths of strokes and
    gaps."""
    if line in DASHES:
        return DASHES[line]
    return ",".join(f"{2 * length:g}px" for length in line[1])


SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross", "X": "x",
           "<": "triangle-left", ">": "triangle-right", "p": "pentagon", "*": "star", "h": "hexagon"}


def look(activation):
    found = style.look(activation)
    return {"colour": found.colour, "dash": dash(found.line), "symbol": SYMBOLS[found.marker], "name": found.name}


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def base64_size(count, width):
    return 4 * -(-count * width // 3)


def single(values):
    """Converts to Float32 of the same sign. Nonzero values stay nonzero, and finite ones finite."""
    values = np.asarray(values, float)
    with np.errstate(over="ignore", under="ignore"):
        short = np.clip(values, -LARGEST, LARGEST).astype(np.float32)
    lost = (values != 0) & (np.abs(short) < SMALLEST) & ~np.isnan(values)
    return np.where(lost, np.copysign(SMALLEST, values), short).astype("<f4")


def is_zero(eigenvalues, tau):
    """Returns a mask (E, P) of the λ with |λ| ≤ τ |λ|max, as counted by the program."""
    largest = np.maximum(np.abs(eigenvalues[:, :1]), np.abs(eigenvalues[:, -1:]))
    return np.abs(eigenvalues) <= tau[:, None] * largest


class Axis:
    """The axis of eigenvalues of one comparison and the bins of its histograms, the same at all epochs."""

    def __init__(self, spectra):
        """spectra: list of (eigenvalues (E, P), τ (E)) of all that will be shown."""
        magnitudes, lowest, highest, parameters = [], 0.0, 0.0, 1
        for eigenvalues, tau in spectra:
            shown = np.abs(eigenvalues[~is_zero(eigenvalues, tau) & np.isfinite(eigenvalues)])
            finite = eigenvalues[np.isfinite(eigenvalues)]
            magnitudes.append(shown)
            parameters = max(parameters, eigenvalues.shape[1])
            if len(finite):
                lowest, highest = min(lowest, finite.min()), max(highest, finite.max())
        magnitudes = np.concatenate(magnitudes) if magnitudes else np.empty(0)
        largest = magnitudes.max() if len(magnitudes) else 1.0
        low = np.quantile(magnitudes, 0.05) if len(magnitudes) else 1e-6
        exponent = math.floor(math.log10(max(min(low, largest / 100), largest * 1e-16, 1e-307)))
        self.unit = 10.0**exponent
        self.width = 0.1 if parameters >= 1000 else 0.25 if parameters >= 300 else 0.5
        decades = [math.log10(1 + abs(end) / self.unit) for end in (lowest, highest)]
        self.width = max(self.width, sum(decades) / 158)
        self.negative, self.positive = (max(1, math.floor(length / self.width) + 1) for length in decades)
        self.gap = max(self.width, 0.03 * sum(decades))

    @property
    def bins(self):
        return self.negative + self.positive

    def counts(self, eigenvalues, tau):
        """Returns the numbers (E, bins + 1) of eigenvalues: the bins in ascending order, then the zeros. All
        are 0 where there is no record."""
        zero = is_zero(eigenvalues, tau)
        table = np.zeros((len(eigenvalues), self.bins + 1), int)
        with np.errstate(invalid="ignore"):
            steps = np.floor(np.log10(1 + np.abs(eigenvalues) / self.unit) / self.width)
        for e, row in enumerate(eigenvalues):
            if np.isnan(row).any():
                continue
            step = steps[e].astype(int)
            bin_of = np.where(row < 0, self.negative - 1 - np.minimum(step, self.negative - 1),
                              self.negative + np.minimum(step, self.positive - 1))
            bin_of[zero[e]] = self.bins
            table[e] = np.bincount(bin_of, minlength=self.bins + 1)
        return table

    def data(self):
        return {"unit": self.unit, "width": self.width, "gap": self.gap, "negative": self.negative, "positive": self.positive}


def curves(network, rows, quartiles):
    """Returns {name: base64 of Float32 (lines, E)}: with several replicas first the median (and quartiles),
    then the first `rows` replicas."""
    found = {}
    for name in CURVES:
        values = network.series(name)
        if np.isnan(values).all():
            continue
        lines = values[:rows]
        if network.replicas > 1:
            lines = np.concatenate([network.statistics(name)[:, : 3 if quartiles else 1].T, lines])
        found[name] = text(single(lines))
    return found


def curves_size(network, rows, quartiles):
    lines = min(rows, network.replicas) + (0 if network.replicas == 1 else 3 if quartiles else 1)
    present = sum(not np.isnan(network.series(name)).all() for name in CURVES)
    return present * (base64_size(lines * network.snapshots, 4) + 30)


def first_replica(network):
    """Returns the first replica that has a record."""
    return int(np.flatnonzero(network.recorded.any(axis=1))[0])


def values_of(network, replicas):
    """Returns the spectra of these replicas for the page: eigenvalues in units of a power of two."""
    eigenvalues = np.stack([network.eigenvalues(replica) for replica in replicas])
    finite = eigenvalues[np.isfinite(eigenvalues)]
    largest = np.abs(finite).max() if finite.size else 0.0
    scale = 2.0 ** math.floor(math.log2(largest)) if largest > 0 else 1.0
    return {"kind": "values", "replicas": list(map(int, replicas)), "scale": scale, "data": text(single(eigenvalues / scale)),
            "tau": text(single(np.stack([network.tau(replica) for replica in replicas])))}


def histograms_of(network, replica, axis):
    eigenvalues = network.eigenvalues(replica)
    counts = axis.counts(eigenvalues, network.tau(replica))
    return {"kind": "histogram", "replicas": [replica], "data": text(counts.astype(f"<u{count_width(network)}")),
            "ends": text(single(eigenvalues[:, [0, -1]]))}


def values_size(network, replicas=1):
    return base64_size(replicas * network.snapshots * (network.parameters + 1), 4) + 120


def count_width(network):
    return 1 if network.parameters < 256 else 2


def histogram_size(network, axis):
    return base64_size(network.snapshots * (axis.bins + 1), count_width(network)) + base64_size(network.snapshots * 2, 4) + 120


def description(network):
    """Returns the data that the plots need in addition to curves and spectra. `label` distinguishes networks
    of one comparison."""
    return {"label": network.label, **look(network.activation), "P": network.parameters, "replicas": network.replicas,
            "seed": network.attribute("seed"), "epoch": network.epoch.tolist(),
            "recordedTau": not np.isnan(network.series("tau")).all()}


def prepare(comparisons, room):
    """Returns the data of all comparisons in up to `room` bytes: curves of all networks, spectra of one
    replica of each."""
    networks = [network for comparison in comparisons for network in comparison.networks]
    described = [description(network) for network in networks]
    room -= sum(len(repr(one).encode()) + 120 for one in described) + sum(200 + len(one.title.encode()) for one in comparisons)
    rows, quartiles = _lines_that_fit(networks, room // 2)
    for network, one in zip(networks, described):
        size = curves_size(network, rows, quartiles)
        one["whole"] = size <= room
        one["curves"] = curves(network, rows, quartiles) if one["whole"] else {}
        one["rows"] = min(rows, network.replicas)
        one["lines"] = 0 if network.replicas == 1 else 3 if quartiles else 1
        room -= size if one["whole"] else 0
    axes = [axis_of([(network, [first_replica(network)]) for network in comparison.networks if network.has_spectra])
        for comparison in comparisons]
    kinds = iter(_kinds_that_fit(networks, [axis for comparison, axis in zip(comparisons, axes) for _ in comparison.networks], room))
    members = iter(zip(networks, described))
    compared = []
    for comparison, axis in zip(comparisons, axes):
        shown = []
        for network, one in [next(members) for _ in comparison.networks]:
            kind = next(kinds)
            shown.append(one)
            if kind == "values":
                one["spectra"] = values_of(network, [first_replica(network)])
            elif kind == "histogram":
                one["spectra"] = histograms_of(network, first_replica(network), axis)
            else:
                one["spectra"] = {"kind": kind, "replicas": []}
        compared.append({"title": comparison.title, "networks": shown,
                         "axis": axis.data() if any(one["spectra"]["replicas"] for one in shown) else None})
    return {"comparisons": compared}


def _lines_that_fit(networks, room):
    """Returns the number of single replicas among the curves, and true if the quartiles are among them."""
    most = max(network.replicas for network in networks)
    for rows in sorted({most, *(count for count in (64, 32, 16, 8, 4, 2, 1) if count < most)}, reverse=True):
        if sum(curves_size(network, rows, True) for network in networks) <= room:
            return rows, True
    return 1, False


def axis_of(shown):
    """Returns the axis of a comparison that shows these spectra, a list of (network, replicas)."""
    return Axis([(network.eigenvalues(replica), network.tau(replica)) for network, replicas in shown for replica in replicas])


def _kinds_that_fit(networks, axes, room):
    """Returns for each network: values, histogram, none (not in the file) or left out. Smaller spectra take
    precedence."""
    kinds = ["left out" if network.has_spectra else "none" for network in networks]
    order = sorted((i for i, network in enumerate(networks) if network.has_spectra), key=lambda i: values_size(networks[i]))
    for i in order:
        size = min(histogram_size(networks[i], axes[i]), values_size(networks[i]))
        if size <= room:
            kinds[i] = "values" if size == values_size(networks[i]) else "histogram"
            room -= size
    for i in order:
        more = values_size(networks[i]) - histogram_size(networks[i], axes[i])
        if kinds[i] == "histogram" and more <= room:
            kinds[i] = "values"
            room -= more
    return kinds


def add_replicas(data, comparisons, room):
    """Adds spectra of further replicas, equally many for all networks, while they fit, and extends the axes
    to them."""
    networks = [network for comparison in comparisons for network in comparison.networks]
    described = [one for comparison in data["comparisons"] for one in comparison["networks"]]
    if any(one["spectra"]["kind"] in ("histogram", "left out") for one in described):
        return
    candidates = [(network, one) for network, one in zip(networks, described) if one["spectra"]["kind"] == "values" and one["rows"] > 1]
    each = sum(values_size(network) for network, _ in candidates)
    extra = min(max((one["rows"] for _, one in candidates), default=1) - 1, int(room // each) if each else 0)
    if extra < 1:
        return
    for network, one in candidates:
        there = np.flatnonzero(network.recorded.any(axis=1))
        one["spectra"] = values_of(network, there[there < one["rows"]][: extra + 1])
    members = iter(zip(networks, described))
    for comparison in data["comparisons"]:
        shown = [next(members) for _ in comparison["networks"]]
        if comparison["axis"]:
            comparison["axis"] = axis_of([(network, one["spectra"]["replicas"]) for network, one in shown]).data()
