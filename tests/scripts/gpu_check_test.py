"""Tests scripts/gpu-check with a fake device and fake programs: steps that pass, fail, take too long and are
interrupted, and what is kept of them.

Usage: gpu_check_test.py FOLDER, that of the scripts. Needs a C compiler (cc) for the fake driver."""

import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPTS))
from gpu_check import device, installation, steps

DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { (void)flags; return 0; }
int cuDeviceGetCount(int* count) { *count = DEVICES; return 0; }
int cuDeviceGetName(char* name, int size, int device) { (void)device; strncpy(name, "Fake 100", size); return 0; }
int cuDriverGetVersion(int* version) { *version = 13000; return 0; }
int cuDeviceGetAttribute(int* value, int which, int device) { (void)which; (void)device; *value = 0; return 0; }
int cuDevicePrimaryCtxRetain(void** context, int device) { (void)device; *context = 0; return 0; }
int cuCtxSetCurrent(void* context) { (void)context; return 0; }
int cuMemGetInfo_v2(unsigned long* free, unsigned long* total) { *free = 9000000000; *total = 10000000000; return 0; }
int cuMemAlloc_v2(unsigned long* address, unsigned long bytes) { *address = 1; return bytes == 0; }
"""

# Lists two tests; a test passes unless its name is a line of the file `failing`, and with the switches that wait
# for launches unless it is one of `failing-always`.
GTEST = """
for word in "$@"; do case $word in --gtest_filter=*) test=${word#--gtest_filter=};; --gtest_list_tests) list=1;; esac; done
if [ "$list" ]; then printf 'Device/Cuda.  # TypeParam = CudaContext\\n  One\\n  Two\\n'; exit; fi
[ "$ESPECTRA_REQUIRE_GPU" = 1 ] || exit 3
echo "$0 $test blocking=$CUDA_LAUNCH_BLOCKING check=$ESPECTRA_CUDA_CHECK products=$ESPECTRA_PRODUCTS" >> FOLDER/calls
file=failing; [ "$CUDA_LAUNCH_BLOCKING" ] && file=failing-always
if grep -qx "$test" FOLDER/$file; then echo "$test went wrong"; exit 1; fi
if grep -qx "$test" FOLDER/slow; then sleep 60; fi
echo '[  PASSED  ] 1 test.'
"""

REPLAY = {"hessian_relative_error_max": 1e-9, "eigenvalue_error_max": None, "gamma_dead_mismatches": 0,
          "negative_count_mismatches": 0, "device": "Fake 100", "wall_seconds": 2.0}
COMPARISON = {"snapshots": 9, "same_bits": True, "different_theta": 0, "different_eigenvalues": 0,
              "theta_error_max": 0.0, "eigenvalue_error_max": 0.0, "cost_error_max": 0.0}


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.bundle = self.folder / "bundle"
        for name in ("bin", "tests", "recipes", "recorded-runs", "lib"):
            (self.bundle / name).mkdir(parents=True)
        shutil.copy2(SCRIPTS / "gpu-check", self.bundle)
        shutil.copytree(SCRIPTS / "gpu_check", self.bundle / "gpu_check")
        (self.bundle / "bundle.json").write_text('{"commit": "0123456789abcdef"}')
        (self.bundle / "recorded-runs/a.h5").write_text("")
        self.cuda = self.folder / "cuda"
        self.cuda.mkdir()
        for library in device.CUDA_LIBRARIES:
            (self.cuda / library).write_text("")
        self.make_driver(1)
        self.program("bin/espectra", f"echo '{json.dumps(REPLAY)}'")
        self.program("bin/espectra-benchmark", f"if [ $1 = compare ]; then echo '{json.dumps(COMPARISON)}'; "
                                               "else echo '{\"benchmarks\": []}'; fi")
        self.program("bin/espectra-cuda-facts", "echo \"{\\\"$1\\\": []}\"")
        for name in installation.TESTS:
            self.program(f"tests/{name}", GTEST.replace("FOLDER", str(self.folder)))
        self.program("tests/library_calls_test", "")
        for name in ("failing", "failing-always", "slow"):
            (self.folder / name).write_text("")
        self.tool("nvidia-smi", "echo Clocks")
        self.tool("compute-sanitizer", 'echo "========= ERROR SUMMARY: 0 errors"; while [ "${1#-}" != "$1" ]; do shift 2; done; "$@"')
        self.tool("ncu", 'echo "    Duration us 1,234.5"; echo "    Registers Per Thread register/thread 88"')

    def program(self, name, script):
        self.write_script(self.bundle / name, script)

    def tool(self, name, script):
        self.write_script(self.folder / name, script)

    @staticmethod
    def write_script(path, script):
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)

    def make_driver(self, devices):
        (self.folder / "driver.c").write_text(DRIVER)
        subprocess.run(["cc", "-shared", "-fPIC", f"-DDEVICES={devices}", "-o", self.cuda / "libcuda.so.1",
                        self.folder / "driver.c"], check=True)

    def command(self, *arguments):
        self.output = self.folder / "out"
        return [sys.executable, self.bundle / "gpu-check", "--output", self.output, *arguments]

    def environment(self, cuda=True):
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin"}
        if cuda:
            environment["LD_LIBRARY_PATH"] = str(self.cuda)
        return environment

    def run_check(self, *arguments, cuda=True):
        result = subprocess.run(self.command(*arguments), env=self.environment(cuda), cwd="/", capture_output=True, text=True)
        self.read_report()
        return result

    def read_report(self):
        file = self.output / "gpu-check.json"
        self.report = json.loads(file.read_text()) if file.exists() else None
        self.steps = self.report["steps"] if self.report else {}

    def log(self, name):
        return gzip.open(self.output / f"logs/{name}.txt.gz", "rt").read()

    # ---- all steps ----

    def test_all_pass(self):
        result = self.run_check()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertTrue(self.report["passed"])
        self.assertEqual(self.report["device"]["name"], "Fake 100")
        self.assertEqual(self.report["device"]["cuda_of_driver"], "13.0")
        self.assertEqual(self.report["commit"], "0123456789abcdef")
        self.assertEqual({step["status"] for step in self.steps.values()}, {"passed"})
        self.assertEqual(list(self.steps), [line.split()[0] for line in self.run_check("--list").stdout.splitlines()])
        self.assertEqual(self.steps["tests"]["results"]["native"],
                         {"tests": 2, "passed": 2, "skipped": [], "failed": {}, "unfinished": []})
        self.assertEqual(self.steps["digits"]["results"]["replay-a"], REPLAY)
        self.assertEqual(self.steps["stress"]["results"]["equal_runs"], 20)
        self.assertEqual(self.steps["memcheck"]["results"]["tests"]["passed"], 2)
        profile = list(self.steps["ncu"]["results"].values())[-1]
        self.assertAlmostEqual(profile["seconds"], 1234.5e-6)
        self.assertEqual(profile["registers"], 88)
        self.assertIn("Clocks", self.log("machine-nvidia-smi"))
        logs = {f"logs/{path.name}" for path in (self.output / "logs").iterdir()}
        self.assertEqual(logs, {one["log"] for step in self.steps.values() for one in step["commands"]})

    def test_the_limits_fit_into_nine_minutes(self):
        table = [line.split() for line in self.run_check("--list", cuda=False).stdout.splitlines()]
        seconds = {name: int(limit) for name, limit, _ in table}
        self.assertLessEqual(sum(seconds.values()) - seconds["initcheck"] - seconds["synccheck"], 540)
        self.assertEqual([name for name, _, _ in table][-2:], ["initcheck", "synccheck"])

    # ---- failures ----

    def test_a_failing_test_runs_again(self):
        (self.folder / "failing").write_text("Device/Cuda.Two\n")
        result = self.run_check("--only", "tests,memcheck")
        self.assertEqual(result.returncode, 1)
        native = self.steps["tests"]["results"]["native"]
        self.assertEqual(native["passed"], 1)
        failure = native["failed"]["Device/Cuda.Two"]
        self.assertIn("went wrong", failure["reason"])
        self.assertEqual(failure["blocking"], "exit status 0: [  PASSED  ] 1 test.")
        self.assertEqual(failure["memcheck"], "0 errors")
        self.assertIn("Two went wrong", self.log("tests-native-Device_Cuda.Two"))
        self.assertIn("PASSED", self.log("tests-native-blocking-Device_Cuda.Two"))
        calls = (self.folder / "calls").read_text()
        self.assertIn("gpu_test Device/Cuda.Two blocking=1 check=1 products=\n", calls)
        self.assertIn("gpu_test Device/Cuda.Two blocking=1 check=1 products=fma\n", calls)
        self.assertIn("gpu_test_of_ptx_80 Device/Cuda.One blocking= check= products=\n", calls)
        self.assertIn("cuda_runtime_test Device/Cuda.One blocking= check= products=\n", calls)
        self.assertNotIn("One blocking=1", calls)

    def test_a_test_that_does_not_run_is_a_failure(self):
        self.program("tests/gpu_test", 'case "$*" in *list*) printf "Device/Cuda.\\n  One\\n";; *) echo "[  PASSED  ] 0 tests.";; esac')
        self.assertEqual(self.run_check("--only", "tests").returncode, 1)
        self.assertEqual(self.steps["tests"]["results"]["native"]["failed"]["Device/Cuda.One"]["reason"], "did not run")
        self.program("tests/gpu_test", 'case "$*" in *list*) printf "Device/Cuda.\\n  One\\n";; *) echo "[  SKIPPED ] no device";; esac')
        self.run_check("--only", "tests")
        self.assertIn("native: skipped: Device/Cuda.One", self.steps["tests"]["problems"])
        self.program("tests/gpu_test", "")
        self.run_check("--only", "tests")
        self.assertIn("gpu_test: no test matches Device/Cuda.*", self.steps["tests"]["problems"])

    def test_a_failing_step_does_not_stop_the_others(self):
        self.program("bin/espectra-cuda-facts", "echo '{\"single\": {\"error\": \"no memory\"}}'; echo no memory >&2; exit 4")
        self.assertEqual(self.run_check("--only", "eigenvalues,stress").returncode, 1)
        self.assertFalse(self.report["passed"])
        self.assertEqual([self.steps[name]["status"] for name in ("eigenvalues", "stress")], ["failed", "passed"])
        self.assertIn("single: exit status 4: no memory", self.steps["eigenvalues"]["problems"])
        self.assertEqual(self.steps["eigenvalues"]["results"]["single"], {"single": {"error": "no memory"}})

    def test_wrong_spectra(self):
        kinds = {"kinds": {"rank_1": {"wrong": 3}, "zero": {"wrong": 0}}}
        facts = [{"n": 52, "solver": "batched", **kinds}, {"n": 52, "solver": "own", **kinds}]
        self.program("bin/espectra-cuda-facts", f"echo '{json.dumps({'known-spectra': facts})}'")
        self.run_check("--only", "eigenvalues")
        self.assertEqual(self.steps["eigenvalues"]["problems"], ["known-spectra: own, n = 52: wrong: {'rank_1': 3}"])
        [decided] = self.report["decisions"]
        self.assertIn("cusolverDnXsyevBatched", decided["question"])
        self.assertFalse(decided["decision"])
        self.assertEqual(decided["figures"]["wrong_by_kind"], {"52": {"rank_1": 3}})

    def test_replay_fails_beyond_its_limits(self):
        for change, reason in (({"negative_count_mismatches": 1}, "replay-a: negative_count_mismatches 1"),
                               ({"eigenvalue_error_max": 2e-7}, "replay-a: eigenvalue_error_max"),
                               ({"device": "CPU, 2 threads"}, "replay-a: ran on CPU")):
            self.program("bin/espectra", f"echo '{json.dumps({**REPLAY, **change})}'")
            self.assertEqual(self.run_check("--only", "digits").returncode, 1)
            self.assertTrue(any(one.startswith(reason) for one in self.steps["digits"]["problems"]), reason)
        self.program("bin/espectra", "echo nonsense")
        self.assertEqual(self.run_check("--only", "digits").returncode, 1)
        self.assertIn("device: not JSON: 'nonsense\\n'", self.steps["digits"]["problems"])

    def test_other_bits_are_found(self):
        self.program("bin/espectra-benchmark", f"echo '{json.dumps({**COMPARISON, 'same_bits': False, 'different_theta': 2})}'")
        self.assertEqual(self.run_check("--only", "stress").returncode, 1)
        stress = self.steps["stress"]
        self.assertEqual((stress["results"]["equal_runs"], stress["results"]["runs"]), (0, 20))
        self.assertIn("run-3: 2 θ and 0 spectra of 9 have other bits than in the first run", stress["problems"])
        self.assertTrue(any(one.startswith("memory-3000MB: other results") for one in stress["problems"]))

    def test_too_little_memory_takes_one_line(self):
        script = f"case \"$*\" in *memory-700*) LINES; exit 4;; esac; echo '{json.dumps(REPLAY)}'"
        self.program("bin/espectra", script.replace("LINES", "echo needs 1 GB >&2"))
        self.assertEqual(self.run_check("--only", "stress").returncode, 0, self.report)
        self.assertEqual(self.steps["stress"]["results"]["memory-700MB"], {"exit_status": 4, "message": "needs 1 GB"})
        self.program("bin/espectra", script.replace("LINES", "printf 'a\\nb\\n' >&2"))
        self.assertEqual(self.run_check("--only", "stress").returncode, 1)

    def test_sanitizers(self):
        self.tool("compute-sanitizer", 'case $2 in racecheck) echo "========= RACECHECK SUMMARY: 0 hazards";; '
                                       'memcheck) echo "========= ERROR SUMMARY: 1 error"; exit 86;; synccheck) echo nothing;; '
                                       '*) echo "========= ERROR SUMMARY: 0 errors";; esac')
        tools = ("memcheck", "racecheck", "initcheck", "synccheck")
        self.assertEqual(self.run_check("--only", ",".join(tools)).returncode, 1)
        self.assertEqual([self.steps[tool]["status"] for tool in tools], ["failed", "passed", "passed", "failed"])
        self.assertEqual(self.steps["memcheck"]["results"]["tests"]["failed"]["Device/Cuda.One"]["reason"], "1 error")
        (self.folder / "compute-sanitizer").unlink()
        self.run_check("--only", "memcheck")
        self.assertIn("compute-sanitizer not found", self.steps["memcheck"]["problems"][0])

    def test_the_hottest_kernels_are_those_measured(self):
        names = [benchmark for _, benchmark in steps.HOT_KERNELS]
        lines = [{"name": f"{name}/iterations:1/manual_time", "real_time": i} for i, name in enumerate(names)]
        self.program("bin/espectra-benchmark", f"echo '{json.dumps({'benchmarks': lines})}'")
        self.run_check("--only", "kernels,ncu")
        self.assertEqual(list(self.steps["ncu"]["results"]["chosen_by"]), names[:-6:-1])
        self.tool("ncu", "echo ==PROF== no kernels")
        self.run_check("--only", "ncu")
        self.assertEqual(self.steps["ncu"]["status"], "failed")

    # ---- time ----

    def test_a_time_limit_ends_a_command_and_its_children(self):
        self.sleeping_program("bin/espectra-cuda-facts")
        begin = time.monotonic()
        result = self.run_check("--only", "eigenvalues,memcheck", "--seconds", "2")
        self.assertFalse(self.sleeps())
        self.assertLess(time.monotonic() - begin, 30)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.steps["eigenvalues"]["status"], "unfinished")
        self.assertEqual(self.steps["eigenvalues"]["unfinished"], ["known-spectra", "eigenvalues", "contexts", "single"])
        self.assertEqual(self.steps["memcheck"]["status"], "not reached")

    def test_a_step_has_its_own_limit(self):
        script = self.bundle / "gpu_check/steps.py"
        script.write_text(script.read_text().replace('("eigenvalues", self.eigenvalues, 120)', '("eigenvalues", self.eigenvalues, 1)'))
        self.program("bin/espectra-cuda-facts", "sleep 60")
        self.run_check("--only", "eigenvalues,memcheck")
        self.assertEqual(self.steps["eigenvalues"]["status"], "unfinished")
        self.assertLess(self.steps["eigenvalues"]["seconds"], 30)
        self.assertEqual(self.steps["memcheck"]["status"], "passed")

    def test_unfinished_tests_are_counted(self):
        (self.folder / "slow").write_text("Device/Cuda.One\n")
        self.run_check("--only", "tests", "--seconds", "3", "--jobs", "2")
        self.assertEqual(self.steps["tests"]["status"], "unfinished")
        native = self.steps["tests"]["results"]["native"]
        self.assertEqual((native["passed"], native["unfinished"]), (1, ["Device/Cuda.One"]))
        self.assertIn("native: 1 of 2 tests", self.steps["tests"]["unfinished"])

    def test_the_report_is_written_after_each_step(self):
        self.program("bin/espectra", f"cp {self.folder}/out/gpu-check.json {self.folder}/during.json; echo '{json.dumps(REPLAY)}'")
        self.run_check("--only", "tests,digits")
        during = json.loads((self.folder / "during.json").read_text())
        self.assertEqual({name: step["status"] for name, step in during["steps"].items()}, {"tests": "passed", "digits": "running"})
        self.assertFalse(during["passed"])

    def sleeping_program(self, name):
        """Creates a program that prints "half" and waits for a process of its own, which it writes to `sleeper`."""
        self.program(name, f"echo half; sleep 600 & echo $! > {self.folder}/sleeper.new; mv {self.folder}/sleeper.new {self.folder}/sleeper; wait")

    def sleeps(self):
        """Returns true if that process has not ended."""
        try:
            status = pathlib.Path(f"/proc/{(self.folder / 'sleeper').read_text().strip()}/status").read_text()
        except OSError:
            return False
        return "State:\tZ" not in status

    def check_ended_by(self, number):
        self.sleeping_program("bin/espectra")
        process = subprocess.Popen(self.command("--only", "tests,digits,memcheck"), env=self.environment(), cwd="/",
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not (self.folder / "sleeper").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.send_signal(number)
        _, message = process.communicate(timeout=60)
        self.read_report()
        self.assertEqual(self.steps["tests"]["status"], "passed")
        self.assertNotIn("memcheck", self.steps)
        return process.returncode, message

    def test_a_signal_ends_all_and_keeps_the_results(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            status, message = self.check_ended_by(number)
            self.assertEqual(status, 130)
            self.assertIn("results so far", message)
            self.assertEqual(self.steps["digits"]["status"], "interrupted")
            self.assertIn("half", self.log("digits-device"))
            self.assertFalse(self.sleeps())
            (self.folder / "sleeper").unlink()
            shutil.rmtree(self.output)

    def test_a_killed_check_leaves_the_results_of_all_steps_before(self):
        status, _ = self.check_ended_by(signal.SIGKILL)
        self.assertEqual(status, -signal.SIGKILL)
        self.assertEqual(self.steps["digits"]["status"], "running")
        self.assertEqual((self.output / "logs/digits-device.out").read_text(), "half\n")
        os.kill(int((self.folder / "sleeper").read_text()), signal.SIGKILL)

    # ---- machine and use ----

    def test_no_device_and_no_libraries(self):
        result = self.run_check(cuda=False)
        self.assertEqual(result.returncode, 4)
        self.assertIn("no device", result.stderr) if device.find_tool("nvcc") else self.assertIn("not found", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIsNone(self.report)
        self.make_driver(0)
        result = self.run_check()
        self.assertEqual((result.returncode, result.stderr), (4, "gpu-check: no device (cuInit: 0, devices: 0)\n"))

    def test_missing_programs(self):
        (self.bundle / "tests/gpu_test").unlink()
        result = self.run_check()
        self.assertEqual(result.returncode, 2)
        self.assertIn("tests/gpu_test is missing", result.stderr)

    def test_memory_is_held(self):
        holder = subprocess.Popen([sys.executable, device.__file__, "1000000000"], env=self.environment(),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual(holder.stdout.readline(), "8000000000\n")
        holder.communicate()
        self.assertEqual(holder.returncode, 0)

    def test_libraries_are_unpacked_once(self):
        (self.bundle / "lib").rmdir()
        for name in installation.PACKED:
            (self.folder / name).mkdir()
            (self.folder / name / "libx.so").write_text("x")
        with tarfile.open(self.bundle / installation.ARCHIVE, "w:xz") as archive:
            for name in installation.PACKED:
                archive.add(self.folder / name, arcname=name)
        self.assertEqual(self.run_check("--only", "memcheck").returncode, 0)
        self.assertEqual((self.bundle / "lib/libx.so").read_text(), "x")
        self.assertEqual((self.bundle / "emulated/libx.so").read_text(), "x")
        (self.bundle / "lib/libx.so").write_text("kept")
        self.assertEqual(self.run_check("--only", "memcheck").returncode, 0)
        self.assertEqual((self.bundle / "lib/libx.so").read_text(), "kept")

    def test_wrong_use(self):
        for arguments in (["--only", "everything"], ["--seconds", "0"], ["--jobs", "0"], ["--bundle", "x"]):
            result = self.run_check(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn("gpu-check: error: ", result.stderr)
        self.assertIn("expected some of machine, tests, digits", self.run_check("--only", "everything").stderr)


unittest.main()
