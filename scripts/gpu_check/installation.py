"""The programs, tests and data that are checked: of a checkout's build folder, or of a bundle."""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile

# Programs and tests of a bundle, by their targets. gpu_test_of_ptx_80 has PTX for compute capability 8.0 alone,
# which the driver compiles on any device: its instructions for tensor cores then run on newer ones too.
PROGRAMS = ["espectra", "espectra-benchmark", "espectra-cuda-facts"]
TESTS = ["gpu_test", "gpu_test_of_ptx_80", "cuda_runtime_test", "library_calls_test"]
# The stand-in for the CUDA libraries (tests/ptx) and the folders of PTX that it executes.
EMULATED_LIBRARY = "libespectra_emulated_device.so"
EMULATED_PTX = ["80", "90"]
# What a bundle has in compressed form, to be unpacked in this order: the folder of libraries is the last.
ARCHIVE, PACKED = "packed.tar.xz", ["emulated", "lib"]
# The recorded runs that are replayed, if they are there: with products by tiles, and with fused kernels.
REPLAYED = ["digits_64-25-10_esp.h5", "nonlinear_2-10-1_relu.h5"]


class Installation:
    def __init__(self, folder, build=None):
        """`folder`: that of the script. `build`: build folder of a checkout, default build/cuda."""
        self.is_bundle = (folder / "bundle.json").exists()
        if self.is_bundle:
            self.root = folder
            self.programs, self.tests, self.recipes = folder / "bin", folder / "tests", folder / "recipes"
            self.emulated_library, self.ptx = folder / "emulated" / EMULATED_LIBRARY, folder / "emulated/ptx"
            self.default_recorded_runs = folder / "recorded-runs"
        else:
            self.root = folder.parent
            build = (build or self.root / "build/cuda").resolve()
            self.programs, self.tests, self.recipes = build / "bin", build / "tests", self.root / "experiments/recipes"
            self.emulated_library, self.ptx = build / "tests/ptx/runtime" / EMULATED_LIBRARY, build / "ptx"
            self.default_recorded_runs = self.root / "../shared/oracle"

    def missing(self, emulated):
        """Returns the files that the steps need and that do not exist."""
        needed = [self.programs / name for name in PROGRAMS] + [self.tests / name for name in TESTS]
        if emulated:
            needed += [self.emulated_library, *(self.ptx / folder for folder in EMULATED_PTX)]
            needed.remove(self.tests / "gpu_test_of_ptx_80")  # gpu_test on the emulated device 8.0
        return [path for path in needed if not path.exists()]

    def commit(self):
        if self.is_bundle:
            return json.loads((self.root / "bundle.json").read_text())["commit"]
        git = lambda *words: subprocess.run(["git", "-C", str(self.root), *words], stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True).stdout.strip()
        return git("rev-parse", "HEAD") + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else "")

    def recorded_runs(self, chosen=None):
        """Returns those of the recorded runs that are replayed, else the first two *.h5 files, of the chosen folder, else of
        $ESPECTRA_RECORDED_RUNS, else of the usual one."""
        folder = chosen or os.environ.get("ESPECTRA_RECORDED_RUNS") or self.default_recorded_runs
        runs = sorted(pathlib.Path(folder).glob("*.h5"))
        return [run for run in runs if run.name in REPLAYED] or runs[:2]

    def unpack(self):
        """Unpacks what a bundle has in compressed form, unless this has already been done."""
        if not self.is_bundle or (self.root / PACKED[-1]).exists():
            return
        partial = self.root / "unpacked.partial"
        with tarfile.open(self.root / ARCHIVE) as archive:
            archive.extractall(partial)
        for name in PACKED:
            if not (self.root / name).exists():
                os.replace(partial / name, self.root / name)
        shutil.rmtree(partial)
