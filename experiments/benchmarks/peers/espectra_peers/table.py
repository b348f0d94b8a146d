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
    """Returns the ratio to Espectra's time in the alternating repetitions, or None."""
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


def failure_text(record):
    """Returns the text of a cell; results.json contains the complete text."""
    text = record["failed"].replace("|", "/")
    return text if len(text) <= 80 else text[:79] + "…"


def group_table(records):
    """Returns the table of one group; `records` begins with that of Espectra."""
    lines = [f"**{records[0]['title']}**", "",
             "| program | median | range (repetitions) | ratio | peak memory | before the first call | difference from Espectra |",
             "|---|---|---|---|---|---|---|"]
    for r in records:
        label = r["label"] + (f": {r['does']} only" if r["does"] else "")
        if r.get("failed"):
            lines.append(f"| {label} | {failure_text(r)} | | | | | |")
            continue
        own = r["program"] == "espectra"
        prepared = seconds_text(r["prepare_seconds"]) if r.get("prepare_seconds", 0) > 0.1 else ""
        lines.append(f"| {label} | {seconds_text(statistics.median(r['seconds']))} | {range_text(r['seconds'])} | "
                     f"{1 if own else ratio_text(r)} | {memory_text(r['peak_bytes'])} | {prepared} | {agreement_text(r)} |")
    return "\n".join(lines) + "\n"


def side_by_side(groups, records):
    """Returns a table with one column for each group of a case: the median, and the ratio to Espectra."""
    groups = [g for g in groups if any((g.key, p.key) in records for p in g.programs)]
    programs = {p.key: p for g in groups for p in g.programs}
    lines = ["| program | " + " | ".join(g.column for g in groups) + " |", "|---" * (len(groups) + 1) + "|"]
    for key, program in programs.items():
        cells = []
        for g in groups:
            r = records.get((g.key, key))
            times = "" if r is None or ratio(r) is None else f" ({ratio_text(r)}×)"
            cells.append("" if r is None else failure_text(r) if r.get("failed") else seconds_text(statistics.median(r["seconds"])) + times)
        lines.append(f"| {program.label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


SIDE_BY_SIDE = {"b": "Exact Hessian, generated images of the shape of MNIST",
                "c": "Exact Hessian and all eigenvalues, networks 2-10-1 (P = 52, m = 690)",
                "d": "Training, networks 2-10-1 (m = 690)"}


def document(groups, records, fits, kernels, heading):
    """Returns the tables of docs/benchmarks.md."""
    parts = [heading]
    for case in dict.fromkeys(g.case for g in groups):
        of_case = [g for g in groups if g.case == case and not g.scale and any((g.key, p.key) in records for p in g.programs)]
        if case in SIDE_BY_SIDE and of_case:
            parts.append(f"**{SIDE_BY_SIDE[case]}**: median, and ratio to Espectra\n\n" + side_by_side(of_case, records))
            continue
        for g in of_case:
            parts.append(group_table([records[g.key, p.key] for p in g.programs if (g.key, p.key) in records]))
    if fits:
        parts.append(fit_table(fits))
    if kernels:
        parts.append(kernel_table(kernels))
    return "\n".join(parts)


BEGIN, END = "<!-- tables: written by experiments/benchmarks/peers/run --document -->\n", "<!-- end of tables -->"


def written_into(text, tables):
    """Returns the document with the tables between its two marks; raises ValueError if the marks are missing."""
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"no {BEGIN.strip()} … {END}")
    return before + mark + "\n" + tables + "\n" + end + after


def kernel_table(kernels):
    lines = [f"**Kernel by kernel**: rates as fractions of those of a large copy ({kernels['copy'] / 1e9:.1f} GB/s) and a large "
             f"matrix product ({kernels['gemm'] / 1e9:.1f} GFLOP/s) in the same run", "",
             "| operation | time | of copy | of product |", "|---|---|---|---|"]
    for k in kernels["operations"]:
        lines.append(f"| {k['name']} | {seconds_text(k['seconds'])} | {k['of_copy']:.2f} | {k['of_gemm']:.2f} |")
    return "\n".join(lines) + "\n"


def fit_table(fits):
    lines = ["**Scaling**: time ∝ axisᵏ, memory ∝ axisᵏ by least squares of the logarithms", "",
             "| axis | program | from – to | k of time | k of peak memory beyond that of the loaded program |", "|---|---|---|---|---|"]
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
