"""Tests scripts/gpu-bundle with a build folder of fake programs.

Usage: gpu_bundle_test.py FOLDER, that of the scripts. Needs a C compiler (cc)."""

import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPTS))
from gpu_check import installation


class Bundle(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "main.c").write_text("int main(void) { return 0; }")
        subprocess.run(["cc", "-o", self.folder / "program", self.folder / "main.c"], check=True)
        build = self.folder / "build"
        files = [f"bin/{name}" for name in installation.PROGRAMS] + [f"tests/{name}" for name in installation.TESTS]
        files.append(f"tests/ptx/runtime/{installation.EMULATED_LIBRARY}")
        for file in files:
            (build / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / "program", build / file)
        for architecture in installation.EMULATED_PTX:
            (build / "ptx" / architecture).mkdir(parents=True)
            (build / "ptx" / architecture / "dense.ptx").write_text("// PTX")
        (self.folder / "runs").mkdir()
        (self.folder / "runs/a.h5").write_text("recorded")
        (self.folder / "runs/NOTICE").write_text("whose")

    def make(self, target):
        return subprocess.run([sys.executable, SCRIPTS / "gpu-bundle", target, "--no-build", "--build", self.folder / "build",
                               "--recorded-runs", self.folder / "runs"], capture_output=True, text=True)

    def test_contents(self):
        bundle = self.folder / "bundle"
        result = self.make(bundle)
        self.assertEqual(result.returncode, 0, result.stderr)
        found = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
        expected = {"gpu-check", "bundle.json", "packed.tar.xz", "recipes/digits.toml", "recorded-runs/a.h5", "recorded-runs/NOTICE",
                    "gpu_check/steps.py", "tests/cuda_runtime_test", "tests/gpu_test_of_ptx_80", "tests/gpu_test",
                    "tests/library_calls_test", "bin/espectra", "bin/espectra-benchmark", "bin/espectra-cuda-facts"}
        self.assertEqual(expected - found, set())
        with tarfile.open(bundle / "packed.tar.xz") as archive:
            packed = set(archive.getnames())
        self.assertEqual({"emulated/libespectra_emulated_device.so", "emulated/ptx/80/dense.ptx", "emulated/ptx/90/dense.ptx",
                          "lib"} - packed, set())
        self.assertFalse([name for name in found if name.endswith(".pyc")])
        manifest = json.loads((bundle / "bundle.json").read_text())
        self.assertEqual(manifest["tests"], installation.TESTS)
        self.assertRegex(manifest["glibc_at_least"], r"^2\.\d+$")
        # On a machine without a device, in another folder.
        moved = self.folder / "moved"
        bundle.rename(moved)
        check = subprocess.run([sys.executable, moved / "gpu-check", "--output", self.folder / "out"], cwd="/", capture_output=True,
                               text=True, env={"PATH": "/usr/bin:/bin"})
        if check.returncode not in (0, 1):  # those are of a machine with a device
            self.assertEqual(check.returncode, 4)
            self.assertEqual(len(check.stderr.splitlines()), 1, check.stderr)

    def test_a_folder_in_use_is_refused(self):
        result = self.make(self.folder / "runs")
        self.assertEqual(result.returncode, 2)
        self.assertIn("expected a new or empty folder", result.stderr)


unittest.main()
