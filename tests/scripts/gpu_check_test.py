"""Tests scripts/gpu-check with a fake device and fake programs: steps that pass and fail, time limits, the report.

Usage: gpu_check_test.py SCRIPT. Needs a C compiler (cc) for the fake driver."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

SCRIPT = pathlib.Path(sys.argv.pop(1)).resolve()

DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { (void)flags; return 0; }
int cuDeviceGetCount(int* count) { *count = DEVICES; return 0; }
int cuDeviceGetName(char* name, int size, int device) { (void)device; strncpy(name, "Fake 100", size); return 0; }
int cuDriverGetVersion(int* version) { *version = 13000; return 0; }
"""

REPLAY = {"hessian_relative_error_max": 1e-9, "eigenvalue_error_max": None, "gamma_dead_mismatches": 0,
          "negative_count_mismatches": 0, "device": "Fake 100"}


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.bundle = self.folder / "bundle"
        for name in ("bin", "tests", "recipes", "recorded-runs", "lib"):
            (self.bundle / name).mkdir(parents=True)
        shutil.copy2(SCRIPT, self.bundle / "gpu-check")
        (self.bundle / "bundle.json").write_text('{"commit": "0123456789abcdef"}')
        (self.bundle / "recorded-runs/a.h5").write_text("")
        self.cuda = self.folder / "cuda"
        self.cuda.mkdir()
        for library in ("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcusolver.so.12",
                        "libcusparse.so.12", "libnvJitLink.so.13"):
            (self.cuda / library).write_text("")
        self.make_driver(1)
        self.program("bin/espectra", f"echo '{json.dumps(REPLAY)}'")
        self.program("bin/espectra-benchmark", "echo '{\"suite\": \"'$1'\"}'")
        self.program("bin/espectra-cuda-facts", "echo '{\"certified\": true}'")
        self.gtest_program("gpu_test", "")

    def program(self, name, script):
        path = self.bundle / name
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)

    def gtest_program(self, name, failure):
        """Creates a test program that writes GoogleTest's XML with one test, which passes unless `failure` is given."""
        xml = f'<testsuites><testsuite name="S"><testcase name="t" classname="S" status="run">{failure}</testcase></testsuite></testsuites>'
        self.program(f"tests/{name}", f"echo '{xml}' > ${{1#--gtest_output=xml:}}\n"
                                      f"[ \"$ESPECTRA_REQUIRE_GPU\" = 1 ] || exit 3\nexit {1 if failure else 0}")

    def make_driver(self, devices):
        (self.folder / "driver.c").write_text(DRIVER)
        subprocess.run(["cc", "-shared", "-fPIC", f"-DDEVICES={devices}", "-o", self.cuda / "libcuda.so.1",
                        self.folder / "driver.c"], check=True)

    def run_check(self, *arguments, cuda=True):
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin"}
        if cuda:
            environment["LD_LIBRARY_PATH"] = str(self.cuda)
        self.output = self.folder / "out.json"
        result = subprocess.run([sys.executable, self.bundle / "gpu-check", "--output", self.output, *arguments],
                                env=environment, cwd="/", capture_output=True, text=True)
        self.report = json.loads(self.output.read_text()) if self.output.exists() else None
        return result

    def test_all_pass(self):
        result = self.run_check("--only", "tests,replay,digits,cuda-facts,kernels,hessian,training,eigen")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertTrue(self.report["passed"])
        self.assertEqual(self.report["device"]["name"], "Fake 100")
        self.assertEqual(self.report["device"]["cuda_of_driver"], "13.0")
        self.assertEqual(self.report["commit"], "0123456789abcdef")
        self.assertEqual(self.report["steps"]["tests"]["results"]["gpu_test"], {"tests": 1, "failed": [], "skipped": []})
        self.assertEqual(self.report["steps"]["replay"]["results"]["a.h5"], REPLAY)
        self.assertEqual(self.report["steps"]["kernels"]["results"], {"suite": "kernels"})

    def test_a_failing_step_does_not_stop_the_others(self):
        self.gtest_program("eigen_test", "<failure/>")
        self.program("bin/espectra-cuda-facts", "echo no memory >&2; exit 4")
        result = self.run_check("--only", "tests,cuda-facts,kernels")
        self.assertEqual(result.returncode, 1)
        self.assertFalse(self.report["passed"])
        steps = self.report["steps"]
        self.assertEqual([steps[name]["status"] for name in ("tests", "cuda-facts", "kernels")], ["failed", "failed", "passed"])
        self.assertEqual(steps["tests"]["results"]["eigen_test"]["failed"], ["S.t"])
        self.assertEqual(steps["tests"]["results"]["gpu_test"]["failed"], [])
        self.assertIn("no memory", steps["cuda-facts"]["reason"])

    def test_replay_fails_beyond_its_limits(self):
        for change, reason in (({"negative_count_mismatches": 1}, "negative_count_mismatches 1"),
                               ({"eigenvalue_error_max": 2e-7}, "eigenvalue_error_max"),
                               ({"device": "CPU, 2 threads"}, "ran on CPU")):
            self.program("bin/espectra", f"echo '{json.dumps({**REPLAY, **change})}'")
            self.assertEqual(self.run_check("--only", "replay").returncode, 1)
            self.assertIn(reason, self.report["steps"]["replay"]["reason"])
        self.program("bin/espectra", "echo nonsense")
        self.assertEqual(self.run_check("--only", "replay").returncode, 1)
        (self.bundle / "recorded-runs/a.h5").unlink()
        self.assertEqual(self.run_check("--only", "replay").returncode, 1)
        self.assertIn("no recorded runs", self.report["steps"]["replay"]["reason"])

    def test_time_limit_ends_a_step_and_its_children(self):
        self.program("bin/espectra-cuda-facts", f"(sleep 3; touch {self.folder}/late) & sleep 60")
        result = self.run_check("--only", "cuda-facts,kernels", "--step-seconds", "1")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.report["steps"]["cuda-facts"]["status"], "timeout")
        self.assertLess(self.report["steps"]["cuda-facts"]["seconds"], 3)
        self.assertEqual(self.report["steps"]["kernels"]["status"], "passed")
        subprocess.run(["sleep", "3"], check=True)
        self.assertFalse((self.folder / "late").exists())

    def test_sanitizers(self):
        sanitizer = self.folder / "compute-sanitizer"
        sanitizer.write_text('#!/bin/sh\nif [ $2 = racecheck ]; then echo "========= RACECHECK SUMMARY: 0 hazards"; '
                             'elif [ $2 = memcheck ]; then echo "========= ERROR SUMMARY: 1 error"; exit 86; '
                             'elif [ $2 = synccheck ]; then echo nothing; else echo "========= ERROR SUMMARY: 0 errors"; fi\n')
        sanitizer.chmod(0o755)
        self.assertEqual(self.run_check("--only", "memcheck,racecheck,initcheck,synccheck").returncode, 1)
        steps = self.report["steps"]
        self.assertEqual([steps[tool]["status"] for tool in ("memcheck", "racecheck", "initcheck", "synccheck")],
                         ["failed", "passed", "passed", "failed"])
        self.assertEqual(steps["racecheck"]["results"]["summary"], "0 hazards")

    def test_no_device_and_no_libraries(self):
        result = self.run_check(cuda=False)
        self.assertEqual(result.returncode, 4)
        self.assertIn("no device", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIsNone(self.report)
        self.make_driver(0)
        self.assertEqual(self.run_check().returncode, 4)
        self.make_driver(1)
        self.assertEqual(self.run_check("--only", "kernels").returncode, 0)

    def test_libraries_are_unpacked_once(self):
        (self.bundle / "lib").rmdir()
        (self.folder / "libx.so").write_text("x")
        with tarfile.open(self.bundle / "lib.tar.xz", "w:xz") as archive:
            archive.add(self.folder / "libx.so", arcname="libx.so")
        self.assertEqual(self.run_check("--only", "kernels").returncode, 0)
        self.assertEqual((self.bundle / "lib/libx.so").read_text(), "x")
        (self.bundle / "lib/libx.so").write_text("kept")
        self.assertEqual(self.run_check("--only", "kernels").returncode, 0)
        self.assertEqual((self.bundle / "lib/libx.so").read_text(), "kept")

    def test_wrong_use(self):
        self.assertEqual(self.run_check("--only", "everything").returncode, 2)
        self.assertEqual(self.run_check("--bundle", "x").returncode, 2)
        self.assertIn("synccheck", self.run_check("--list", cuda=False).stdout)


unittest.main()
