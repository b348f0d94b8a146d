"""Facts about results.h5 files whose datasets have no attributes: those without `format_revision`
(docs/file-formats.md)."""

import re

PER_SNAPSHOT = ("replica", "snapshot")
AXES = dict.fromkeys(
    ("cost", "gradient_norm", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead",
     "gamma_dead_inputs", "gamma_dead_units", "gamma_symmetry", "gamma_numerical", "tau", "trace_error", "symmetry_residual"),
    PER_SNAPSHOT) | {"theta": (*PER_SNAPSHOT, "parameter"), "eigenvalues": (*PER_SNAPSHOT, "eigenvalue")}
STATISTICS = ("cost", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead")

# `_key=` begins a new key of the name of a group; some keys have a `_` of their own.
_BETWEEN_KEYS = re.compile(r"(?<!learning)(?<!test)(?<!dense)(?<!gradient)(?<!gauss)(?<!negative)"
                           r"_(?=(?:(?:learning|test|dense|gradient|gauss|negative)_)?[a-z]+=)")


def variant(name, architecture, activation):
    """Returns the swept keys and values in the name of a group, `loss=mean_squared_error, seed=3`; empty if
    there are none."""
    start = f"_{architecture}_{activation}"
    return ", ".join(_BETWEEN_KEYS.split(name.split(start, 1)[1].lstrip("_"))) if start in name else ""


def paired_rows(dataset):
    """Returns the names of the rows of a dataset in statistics/paired."""
    return list(dataset.attrs.get("statistic", STATISTICS))
