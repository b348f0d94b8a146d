"""`espectra run`: training and all snapshots of the digits network as a user would run it; the whole process
is timed."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import h5py

DEVICE = os.environ.get("PEERS_DEVICE", "cpu")
RECIPE = """
[data]
source = "digits"

[train]
epochs = {epochs}

[spectrum]
schedule = {{ dense_until = 200, dense_step = 10, step = 50 }}
"""


def versions():
    return {}


def peak_bytes():
    return Run.peak


class Run:
    peak = 0  # peak memory of the program in bytes

    def __init__(self, program, epochs):
        self.folder = Path(tempfile.mkdtemp(prefix="espectra-peers-"))
        self.program, self.recipe = program, self.folder / "digits.toml"
        self.recipe.write_text(RECIPE.format(epochs=epochs))

    def __call__(self):
        output = self.folder / "results"
        shutil.rmtree(output, ignore_errors=True)
        done = subprocess.run([self.program, "run", str(self.recipe), "--output", str(output), "--device", DEVICE, "--json"],
                              check=True, stdin=subprocess.DEVNULL, capture_output=True)
        Run.peak = max(Run.peak, json.loads(done.stdout)["peak_memory_bytes"])
        return output / "results.h5"

    def __del__(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def prepare(work, problem, threads, method):
    run = Run(method, problem.epochs)

    def results(path):
        with h5py.File(path) as f:
            network, = f.values()
            return {name: network[name][:] if name == "epoch" else network[name][0]
                    for name in ("epoch", "theta", "cost", "eigenvalues")}

    return run, results
