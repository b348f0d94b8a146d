"""Tables in Markdown."""

import statistics

from .measure import GIB


def seconds_text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            value = seconds * scale
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def range_text(seconds):
    if len(seconds) == 1:
        return "once"
    return f"{seconds_text(min(seconds))} – {seconds_text(max(seconds))} ({len(seconds)})"


def ratio(record):
    """Times Espectra's, of the same minutes; None where there is none."""
    if record.get("failed") or not record.get("espectra_seconds"):
        return None
    return statistics.median(record["seconds"]) / statistics.median(record["espectra_seconds"])


def ratio_text(record):
    value = ratio(record)
    return "" if value is None else f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"


def memory_text(count):
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / (1 << 20):.0f} MiB"


def agreement_text(record):
    return "; ".join(f"{name} {value:.0e}" for name, value in record.get("agreement", {}).items())


def group_table(records):
    """Records of one group, Espectra's first."""
    lines = [f"**{records[0]['title']}**", "",
             "| program | median | range (repetitions) | ratio | peak memory | before the first call | difference from Espectra |",
             "|---|---|---|---|---|---|---|"]
    for r in records:
        label = r["label"] + (f" ({r['does']} only)" if r["does"] else "")
        if r.get("failed"):
            lines.append(f"| {label} | {r['failed']} | | | | | |")
            continue
        own = r["program"] == "espectra"
        prepared = seconds_text(r["prepare_seconds"]) if r.get("prepare_seconds", 0) > 0.1 else ""
        lines.append(f"| {label} | {seconds_text(statistics.median(r['seconds']))} | {range_text(r['seconds'])} | "
                     f"{1 if own else ratio_text(r)} | {memory_text(r['peak_bytes'])} | {prepared} | {agreement_text(r)} |")
    return "\n".join(lines) + "\n"


def kernel_table(kernels):
    lines = [f"**Kernel by kernel**: fractions of a large copy ({kernels['copy'] / 1e9:.1f} GB/s) and of a large matrix "
             f"product ({kernels['gemm'] / 1e9:.1f} GFLOP/s) measured in the same run", "",
             "| operation | time | of copy | of product |", "|---|---|---|---|"]
    for k in kernels["operations"]:
        lines.append(f"| {k['name']} | {seconds_text(k['seconds'])} | {k['of_copy']:.2f} | {k['of_gemm']:.2f} |")
    return "\n".join(lines) + "\n"


def fit_table(fits):
    lines = ["**Scaling**: time ∝ axisᵏ, memory ∝ axisᵏ by least squares of the logarithms", "",
             "| axis | program | from – to | k of time | k of peak memory beyond that of one loaded |", "|---|---|---|---|---|"]
    for fit in fits:
        lines.append(f"| {fit['axis']} | {fit['label']} | {fit['from']:g} – {fit['to']:g} | {fit['time']} | {fit['memory']} |")
    return "\n".join(lines) + "\n"


def tables(groups, records, fits, kernels, heading):
    parts = [heading]
    for group in groups:
        rows = [records[group.key, p.key] for p in group.programs if (group.key, p.key) in records]
        if rows and not group.scale:
            parts.append(group_table(rows))
    if fits:
        parts.append(fit_table(fits))
    if kernels:
        parts.append(kernel_table(kernels))
    return "\n".join(parts)
