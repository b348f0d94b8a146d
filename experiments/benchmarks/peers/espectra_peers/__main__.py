"""Compares Espectra with other programs: measures, checks the results, writes tables and figures.

    experiments/benchmarks/peers/run --output DIR [--cases a,c] [--quick] [--device cpu|cuda]
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import kernels, scaling
from .cases import Inputs, groups
from .measure import Espectra
from .store import Store
from .suite import Suite
from .table import document, tables, written_into

ROOT = Path(__file__).resolve().parents[4]
CASES = "abcdef"


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def gpu_name():
    return subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", "--id=0"], check=True, capture_output=True,
                          text=True).stdout.strip()


def machine(threads, device):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    processor = cpu_name() if device == "cpu" else f"{gpu_name()} with {cpu_name()}"
    return {"device": device, "processor": processor, "cores": len(os.sched_getaffinity(0)), "threads": threads,
            "memory_bytes": memory, "system": platform.platform(), "python": platform.python_version(),
            "load_at_start": os.getloadavg()[0]}


def versions(records):
    found = {}
    for record in records.values():
        found.update(record.get("versions", {}))
    return dict(sorted(found.items()))


def main():
    parser = argparse.ArgumentParser(prog="run", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder; measurements that exist in it are not repeated")
    parser.add_argument("--cases", default=",".join(CASES) + ",kernels", help="some of a, b, c, d, e, f, kernels, or groups such as c-100 (default: all)")
    parser.add_argument("--quick", action="store_true", help="small problems, two repetitions: a test of the suite")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="device that all programs use (default: cpu)")
    parser.add_argument("--programs", type=Path,
                        help="folder of espectra and espectra-benchmark (default: build/release/bin, or build/cuda/bin for cuda)")
    parser.add_argument("--document", type=Path, help="file whose tables between the two marks are replaced")
    arguments = parser.parse_args()
    chosen, device = set(arguments.cases.split(",")), arguments.device
    preset = "release" if device == "cpu" else "cuda"
    programs = arguments.programs or ROOT / "build" / preset / "bin"
    for name in ("espectra", "espectra-benchmark"):
        if not (programs / name).exists():
            parser.error(f"--programs {programs}: {name} not found; build it with cmake --build --preset {preset}")

    for number in (signal.SIGINT, signal.SIGTERM):  # ends the measuring process with this one
        signal.signal(number, lambda *_: sys.exit(130))
    threads = min(2, len(os.sched_getaffinity(0)))
    store, espectra = Store(arguments.output), Espectra(programs, device)
    facts_path = arguments.output / "machine.json"
    if not facts_path.exists():
        facts_path.write_text(json.dumps({**machine(threads, device), "quick": arguments.quick,
                                          "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, indent=1))
    facts = json.loads(facts_path.read_text())
    if facts["quick"] != arguments.quick:
        parser.error(f"--output {arguments.output}: contains measurements {'with' if facts['quick'] else 'without'} --quick")
    if facts["device"] != device:
        parser.error(f"--output {arguments.output}: contains measurements with --device {facts['device']}")
    everything = groups(Inputs(programs / "espectra"), arguments.quick, threads, device)
    if unknown := chosen - {*CASES, "kernels"} - {group.key for group in everything}:
        parser.error(f"--cases: {', '.join(sorted(unknown))}: expected some of {', '.join(CASES)}, kernels, or groups of a case: "
                     + ", ".join(group.key for group in everything if not group.scale))
    suite = Suite(store, espectra, say=lambda line: print(line, file=sys.stderr, flush=True))
    for group in everything:
        if {group.case, group.key} & chosen:
            suite.measure(group)
    kernels_path = arguments.output / "kernels.json"
    if "kernels" in chosen and not kernels_path.exists():
        kernels_path.write_text(json.dumps(kernels.measure(espectra), indent=1))

    records = store.all()
    curves = scaling.curves(everything, records)
    fits = scaling.fits(curves)
    found_kernels = json.loads(kernels_path.read_text()) if kernels_path.exists() else None
    heading = (f"{facts['start'][:10]}, {facts['processor']}, {facts['threads']} threads, float64; "
               + ", ".join(f"{n} {v}" for n, v in versions(records).items()) + "\n")
    text = tables(everything, records, fits, found_kernels, heading)
    (arguments.output / "table.md").write_text(text)
    (arguments.output / "results.json").write_text(json.dumps(
        {"machine": facts, "versions": versions(records), "measurements": list(records.values()), "scaling": fits,
         "kernels": found_kernels}, indent=1, ensure_ascii=False) + "\n")
    from .figures import draw
    draw(arguments.output, everything, records, curves)
    print(text)
    if arguments.document:
        short = document(everything, records, fits, found_kernels, heading)
        arguments.document.write_text(written_into(arguments.document.read_text(), short))


if __name__ == "__main__":
    main()
