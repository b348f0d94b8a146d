"""`espectra run`: training and all snapshots of the digits network, as a user starts it. Timed by the program itself."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import h5py

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


class Run:
    def __init__(self, program, epochs):
        self.folder = Path(tempfile.mkdtemp(prefix="espectra-peers-"))
        self.program, self.recipe = program, self.folder / "digits.toml"
        self.recipe.write_text(RECIPE.format(epochs=epochs))

    def __call__(self):
        output = self.folder / "results"
        shutil.rmtree(output, ignore_errors=True)
        subprocess.run([self.program, "run", str(self.recipe), "--output", str(output), "--device", "cpu"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
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
