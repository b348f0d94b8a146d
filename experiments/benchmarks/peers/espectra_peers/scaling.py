"""Exponents of time and memory: slopes in logarithms, with their standard errors."""

import statistics

import numpy as np


def exponent(x, y):
    """Returns (k, standard error) of y ∝ xᵏ; the error is NaN for two points."""
    lx, ly = np.log(x), np.log(y)
    k, c = np.polyfit(lx, ly, 1)
    free = len(lx) - 2
    spread = ((lx - lx.mean()) ** 2).sum()
    error = np.sqrt(((ly - k * lx - c) ** 2).sum() / free / spread) if free > 0 else np.nan
    return float(k), float(error)


def exponent_text(x, y):
    k, error = exponent(x, y)
    return f"{k:.2f}" if np.isnan(error) else f"{k:.2f} ± {error:.2f}"


def curves(groups, records):
    """Returns {(axis, program): (label, values, seconds, working bytes)} of the measured points."""
    found = {}
    for group in groups:
        if not group.scale:
            continue
        axis, value = group.scale
        for program in group.programs:
            r = records.get((group.key, program.key))
            if r and not r.get("failed"):
                label, x, t, b = found.setdefault((axis, program.key), (program.label, [], [], []))
                x.append(value)
                t.append(statistics.median(r["seconds"]))
                b.append(max(r["peak_bytes"] - r["loaded_bytes"], 1))
    return found


def fits(found):
    return [{"axis": axis, "label": label, "from": min(x), "to": max(x), "time": exponent_text(x, t),
             "memory": exponent_text(x, b)} for (axis, _), (label, x, t, b) in found.items() if len(x) > 1]
