"""The process of one measurement: prepares the work, does it once, and repeats it for every line on standard
input.

    python -m espectra_peers.worker MODULE METHOD WORK PROBLEM.h5 OUTPUT.h5 THREADS

Answers are lines of JSON on standard output, the same as those of `espectra-benchmark recorded`. The output of
the libraries goes to standard error. MODULE is the part of work_*.py after the underscore.
"""

import gc
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

import h5py

LEAST_SECONDS = 0.2  # of a repetition, in which short work is done several times
OUT_OF_MEMORY = ("out of memory", "resource_exhausted", "can't allocate memory", "bad_alloc", "unable to allocate")


def peak_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status: no VmHWM")


def is_out_of_memory(text):
    return any(sign in text.lower() for sign in OUT_OF_MEMORY)


def repetition(call, calls):
    """Returns the seconds of one call, as the mean over `calls` calls."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def serve(arguments, answers):
    def say(**line):
        print(json.dumps(line), file=answers, flush=True)

    module, method, work, problem_path, output, threads = arguments
    try:
        adapter = importlib.import_module(f"espectra_peers.work_{module}")
    except ImportError as error:
        return say(failed=f"not installed: {error}")
    from .problem import Problem
    problem = Problem.read(problem_path)
    peak_of = getattr(adapter, "peak_bytes", peak_bytes)  # of a different process if that does the work
    loaded = peak_of()
    try:
        start = time.perf_counter()
        options = {"method": method} if method else {}
        call, results = adapter.prepare(work, problem, int(threads), **options)
        prepared = time.perf_counter()
        value = call()
        first, peak = time.perf_counter() - prepared, peak_of()
        with h5py.File(output, "w") as f:
            for name, array in results(value).items():
                f[name] = array
        del value
        gc.collect()
        warm = first if first > 1 else repetition(call, 1)
        calls = max(1, int(LEAST_SECONDS / warm))
        say(prepare_seconds=prepared - start, first_seconds=first, calls=calls, loaded_bytes=loaded, peak_bytes=peak,
            versions=adapter.versions())
        for _ in sys.stdin:
            say(seconds=repetition(call, calls), peak_bytes=peak_of())
    except MemoryError:
        say(failed="out of memory")
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        say(failed="out of memory" if is_out_of_memory(text) else text[:200])


def main():
    limit = os.environ.get("PEERS_DATA_BYTES")
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.argv[1:], answers)


if __name__ == "__main__":
    main()
