"""The programs, tests and data that are checked: of a checkout's build folder, or of a bundle."""

import json
import os
import pathlib
import subprocess
import tarfile

# Programs and tests of a bundle, by their targets. gpu_test_of_ptx_80 has PTX for compute capability 8.0 alone,
# which the driver compiles on any device: its instructions for tensor cores then run on newer ones too.
PROGRAMS = ["espectra", "espectra-benchmark", "espectra-cuda-facts"]
TESTS = ["gpu_test", "gpu_test_of_ptx_80", "cuda_runtime_test", "library_calls_test"]
# The stand-in for the CUDA libraries (tests/ptx) and the folders of PTX that it executes.
EMULATED_LIBRARY = "libespectra_emulated_device.so"
EMULATED_PTX = ["80", "90"]


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
        """Returns the *.h5 files of the chosen folder, else of $ESPECTRA_RECORDED_RUNS, else of the usual one."""
        folder = chosen or os.environ.get("ESPECTRA_RECORDED_RUNS") or self.default_recorded_runs
        return sorted(pathlib.Path(folder).glob("*.h5"))

    def unpack_libraries(self):
        """Unpacks a bundle's compressed libraries next to its programs, unless this has already been done."""
        if self.is_bundle and not (self.root / "lib").exists():
            with tarfile.open(self.root / "lib.tar.xz") as archive:
                archive.extractall(self.root / "lib.partial")
            os.replace(self.root / "lib.partial", self.root / "lib")
