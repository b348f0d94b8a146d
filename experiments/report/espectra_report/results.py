"""The data of a report: the networks of one or several results.h5 (docs/file-formats.md) or of recorded runs.

Sizes: R replicas, E recorded epochs (snapshots), P parameters. A record that has not been computed is NaN
everywhere; `Network.recorded` is true where records exist.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from espectra_report import older_files
from espectra_report.activations import rank


class ReportError(Exception):
    """Bad input. The message is one line with file, object, value and what was expected."""


@dataclass(frozen=True)
class Block:
    """A part of θ: the weights (`W`, n_l · n_{l−1} of them), biases (`b`) or gate sharpnesses (`β`) of layer
    1 … L."""

    layer: int
    kind: str
    start: int
    stop: int

    @property
    def label(self):
        return f"{self.kind}{str(self.layer).translate(str.maketrans('0123456789', '₀₁₂₃₄₅₆₇₈₉'))}"


@dataclass
class Network:
    """A group of a results.h5, or a recorded run. Datasets are read on first use and kept, except eigenvalues
    and eigenvectors."""

    run: "Run"
    name: str
    group: h5py.Group
    recorded_run: bool = False
    _series: dict = field(default_factory=dict, repr=False)

    def attribute(self, name, default=None):
        value = self.group.attrs.get(name, default)
        if isinstance(value, bytes):
            return value.decode()
        return value.item() if isinstance(value, np.generic) else value

    def _error(self, what):
        return ReportError(f"{self.run.path}: {self.name}: {what}")

    def _dataset(self, name, shape):
        """Returns the dataset of that name after a check of its shape, or None; a recorded run has no replica
        axis."""
        data = self.group.get(name)
        if data is None:
            return None
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iuf":
            raise self._error(f"{name}: expected a dataset of numbers")
        wanted = shape[1:] if self.recorded_run else shape
        if data.shape != wanted:
            raise self._error(f"{name}: expected shape {wanted}, got {data.shape}")
        return data

    def _read(self, name, shape, index=()):
        data = self._dataset(name, shape)
        if data is None:
            return None
        try:
            values = np.asarray(data[index[1:] if self.recorded_run else index], float)
        except OSError as error:
            raise self._error(f"{name}: cannot be read ({error})") from None
        return values[None] if self.recorded_run and not index else values

    @cached_property
    def epoch(self):
        """Numbers of updates at the snapshots, (E)."""
        data = self.group.get("epoch")
        if data is None and self.recorded_run:
            return np.arange(self.group["theta"].shape[0])
        if not isinstance(data, h5py.Dataset) or data.ndim != 1 or data.dtype.kind not in "iuf":
            raise self._error("epoch: expected a list of integers")
        return data[()].astype(int)

    @cached_property
    def widths(self):
        widths = np.atleast_1d(self.attribute("widths", ()))
        if len(widths) < 2 or not np.issubdtype(widths.dtype, np.number) or (widths < 1).any():
            raise self._error(f"attribute widths: expected two or more positive integers, got {widths!r}")
        return tuple(int(width) for width in widths)

    @property
    def architecture(self):
        return "-".join(map(str, self.widths))

    @property
    def activation(self):
        """Activation of the hidden layers: one name, or names joined by `-`."""
        return str(self.attribute("hidden_activation", ""))

    @property
    def task(self):
        """Name of the data: digits, linear, nonlinear, or the stem of a file."""
        return self.name.split(f"_{self.architecture}_")[0] if f"_{self.architecture}_" in self.name else Path(self.name).stem

    @property
    def variant(self):
        """The other swept keys and values: `loss=mean_squared_error, seed=3`; empty if there are none."""
        stored = self.attribute("variant")
        return older_files.variant(self.name, self.architecture, self.activation) if stored is None else str(stored)

    @property
    def setting(self):
        """Name of the network without its activation. Networks of equal settings are drawn into one axes."""
        return " ".join(part for part in (self.task, self.architecture, self.variant) if part)

    @property
    def label(self):
        """Name for tables and menus, unique within a report."""
        return " ".join(part for part in (self.run.prefix, self.task, self.architecture, self.activation, self.variant) if part)

    @cached_property
    def replicas(self):
        if self.recorded_run:
            return 1
        data = self.group.get("theta_initial")
        if not isinstance(data, h5py.Dataset) or data.ndim != 2:
            raise self._error("theta_initial: expected a dataset (replicas, parameters)")
        return data.shape[0]

    @property
    def snapshots(self):
        return len(self.epoch)

    @cached_property
    def blocks(self):
        """Blocks in the order of θ: W_l row-major [n_l, n_{l−1}], b_l, β_l (docs/mathematics.md, 1)."""
        hidden = self.activation.split("-")
        layers = len(self.widths) - 1
        hidden = hidden * (layers - 1) if len(hidden) == 1 else hidden
        train_beta = bool(self.attribute("trainable_beta", 0)) and "esp" in hidden
        blocks, start = [], 0
        for layer, (inputs, outputs) in enumerate(zip(self.widths, self.widths[1:]), start=1):
            beta = train_beta and (layer == layers or hidden[layer - 1] == "esp")
            for kind, size in (("W", inputs * outputs), ("b", outputs), ("β", outputs if beta else 0)):
                if size:
                    blocks.append(Block(layer, kind, start, start + size))
                    start += size
        return blocks

    @property
    def parameters(self):
        return self.blocks[-1].stop

    @cached_property
    def axes(self):
        """Axes of the datasets of the group, {name: axes}, from their attributes."""
        found = {name: tuple(data.attrs["axes"]) for name, data in self.group.items()
                 if isinstance(data, h5py.Dataset) and "axes" in data.attrs}
        return found or older_files.AXES

    def check_shapes(self):
        """Raises ReportError unless all datasets of the snapshots' records have the shape of their axes."""
        extents = {"replica": self.replicas, "snapshot": self.snapshots, "parameter": self.parameters, "eigenvalue": self.parameters}
        for name, axes in self.axes.items():
            if axes[:2] == older_files.PER_SNAPSHOT:
                self._dataset(name, tuple(extents[axis] for axis in axes))

    def series(self, name):
        """Returns a dataset per replica and epoch, (R, E), with NaN where there is no record or the file has
        no such dataset."""
        if name not in self._series:
            shape = (self.replicas, self.snapshots)
            values = self._read(name, shape)
            self._series[name] = np.full(shape, np.nan) if values is None else values
        return self._series[name]

    @property
    def rounding(self):
        """The automatic tolerance of the program, 4Pε (docs/mathematics.md, 8)."""
        return 4 * self.parameters * np.finfo(float).eps

    def tau(self, replica):
        """Returns τ (E) of each record of a replica, or the automatic one where it is not recorded."""
        recorded = self.series("tau")[replica]
        return np.where(np.isnan(recorded), self.rounding, recorded)

    @cached_property
    def recorded(self):
        """Mask (R, E) of the complete records, whose α, written last, is not NaN. In a recorded run all are
        complete."""
        if self.recorded_run:
            return np.ones((1, self.snapshots), bool)
        return ~np.isnan(self.series("alpha"))

    @property
    def has_spectra(self):
        return "eigenvalues" in self.group and bool(self.recorded.any())

    @property
    def has_eigenvectors(self):
        return "eigenvectors" in self.group and self.has_spectra

    def eigenvalues(self, replica, snapshot=slice(None), name="eigenvalues"):
        """Returns the eigenvalues of a snapshot (P), or of all (E, P), in ascending order; NaN where there is
        no record. `name` may be another dataset of that shape, such as `eigenvalues_gauss_newton`."""
        values = self._read(name, (self.replicas, self.snapshots, self.parameters), (replica, snapshot))
        if values is None:
            raise self._error(f"{name}: not in the file")
        return values

    def eigenvectors(self, replica, snapshot):
        """Returns the unit eigenvectors (P, P); row e belongs to eigenvalue e."""
        P = self.parameters
        values = self._read("eigenvectors", (self.replicas, self.snapshots, P, P), (replica, snapshot))
        if values is None:
            raise self._error("eigenvectors: not in the file (spectrum.eigenvectors in the recipe)")
        return values

    def statistics(self, name):
        """Returns statistics over the replicas, (E, 5): median, first and third quartile, ends of the
        median's 95 % interval (NaN if the run has not written them)."""
        stored = self.group.get(f"statistics/{name}")
        if isinstance(stored, h5py.Dataset) and stored.shape == (self.snapshots, 5) and not np.isnan(stored[:, 0]).all():
            return stored[()]
        values = np.where(self.recorded, self.series(name), np.nan)
        table = np.full((self.snapshots, 5), np.nan)
        there = ~np.isnan(values).all(axis=0)
        if there.any():
            # nanquantile is slow
            quantile = np.nanquantile if np.isnan(values[:, there]).any() else np.quantile
            table[there, :3] = quantile(values[:, there], [0.5, 0.25, 0.75], axis=0).T
        return table

    def paired(self):
        """Returns {other network's name: {column: (6)}}: the median of (this − other) with its interval, and
        the fraction of seeds where this one is lower, with its interval."""
        stored = self.group.get("statistics/paired", {})
        tables = {name: dict(zip(older_files.paired_rows(data), data[()])) for name, data in stored.items()}
        return {name: rows for name, rows in tables.items() if not np.isnan(list(rows.values())).all()}

    def last_recorded(self, replica=0):
        """Returns the index of the last snapshot of a replica that has a record, or None."""
        there = np.flatnonzero(self.recorded[replica])
        return int(there[-1]) if len(there) else None


@dataclass
class Run:
    """One file: a results.h5 (finished or not) or a recorded run."""

    path: Path
    file: h5py.File
    prefix: str = ""  # distinguishes the runs of a report; empty if not needed
    networks: list = field(default_factory=list)

    def attribute(self, name, default=""):
        value = self.file.attrs.get(name, default)
        if isinstance(value, bytes):
            value = value.decode()
        return value.item() if isinstance(value, np.generic) else value

    @property
    def title(self):
        return str(self.attribute("title")) or self.path.parent.name or self.path.stem

    @property
    def state(self):
        """State of the run: running, interrupted, diverged or complete; `recorded` for a recorded run."""
        return "recorded" if self.networks and self.networks[0].recorded_run else str(self.attribute("state")).strip()

    def close(self):
        self.file.close()


def results_path(given):
    """Returns the results.h5 of a folder (or the .partial of a run in progress), or the given file."""
    path = Path(given)
    if path.is_dir():
        for name in ("results.h5", "results.h5.partial"):
            if (path / name).is_file():
                return path / name
        raise ReportError(f"{path}: no results.h5 in this folder")
    if not path.is_file():
        raise ReportError(f"{path}: no such file")
    return path


def open_run(given, check=True):
    """Opens the run in a folder or file. Raises ReportError if there is none or, with `check`, if a dataset
    has a wrong shape."""
    path = results_path(given)
    if path.stat().st_size == 0:
        raise ReportError(f"{path}: the file is empty; expected a results.h5 or a recorded run")
    try:
        # A run in progress writes in place; no lock is needed, since records are complete where α is not NaN.
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise ReportError(f"{path}: cannot be read as HDF5 ({str(error).splitlines()[0]})") from None
    run = Run(path, file)
    try:
        _find_networks(run, check)
    except ReportError:
        file.close()
        raise
    return run


def _find_networks(run, check):
    text = str(run.attribute("format"))
    if text.startswith("espectra results"):
        groups = [(name, item) for name, item in run.file.items() if isinstance(item, h5py.Group) and "widths" in item.attrs]
        run.networks = [Network(run, name, group) for name, group in groups]
        if not run.networks:
            raise ReportError(f"{run.path}: no networks in it")
    elif "widths" in run.file.attrs and isinstance(run.file.get("theta"), h5py.Dataset) and run.file["theta"].ndim == 2:
        run.networks = [Network(run, run.path.stem, run.file, recorded_run=True)]
    else:
        raise ReportError(f"{run.path}: neither the results of espectra run nor a recorded run with (E, P) theta")
    for network in run.networks if check else ():
        network.check_shapes()


def open_runs(given, check=True):
    """Opens all of these in order, with prefixes that distinguish them."""
    runs = []
    try:
        for one in given:
            runs.append(open_run(one, check))
    except ReportError:
        for run in runs:
            run.close()
        raise
    recorded = [run for run in runs if run.state == "recorded"]
    results = [run for run in runs if run.state != "recorded"]
    _set_prefixes(results, needed=len(runs) > 1)
    names = [run.path.stem for run in recorded]
    _set_prefixes(recorded, needed=len(set(names)) < len(names))
    for run in recorded:
        run.prefix = run.prefix or ("recorded" if results else "")
    return runs


def _set_prefixes(runs, needed):
    """Sets the prefixes, if needed, to the names of the runs' folders, numbered where they repeat."""
    seen = {}
    for run in runs if needed else ():
        folder = run.path.parent.resolve().name
        seen[folder] = seen.get(folder, 0) + 1
        run.prefix = folder if seen[folder] == 1 else f"{folder} {seen[folder]}"


@dataclass
class Comparison:
    """Networks that differ only in the activation, in the order of activations.LOOKS; they are drawn into one
    axes."""

    title: str
    networks: list


def comparisons(runs):
    """Returns all networks of the runs, grouped by setting, in the order in which they occur."""
    groups = {}
    for run in runs:
        for network in run.networks:
            groups.setdefault((run.prefix, network.setting), []).append(network)

    return [Comparison(" ".join(part for part in key if part),
                       sorted(networks, key=lambda network: rank(network.activation)))
            for key, networks in groups.items()]
