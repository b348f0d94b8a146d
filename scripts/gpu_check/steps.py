"""The steps of scripts/gpu-check, in the order of their value, each with its time limit."""

import pathlib
import re
import subprocess
import sys
import tempfile

from . import device as device_module
from .device import find_tool

# Limits for a replay on the device, the same as for the CPU in
# tests/experiments/replay/recorded_runs.hpp. Its limits of the retrained θ depend on the run and are not
# repeated here.
REPLAY_LIMITS = {"hessian_relative_error_max": 4e-8, "eigenvalue_error_max": 1e-7, "gamma_dead_mismatches": 0,
                 "negative_count_mismatches": 0}

# The ways to compute the products of the Hessian, each chosen by the environment. The fastest is a decision.
PRODUCT_VARIANTS = [
    ("tiles, tensor cores", {"ESPECTRA_HESSIAN_PRODUCTS": "tiles", "ESPECTRA_PRODUCTS": "tensor"}),
    ("tiles, multiply-adds", {"ESPECTRA_HESSIAN_PRODUCTS": "tiles", "ESPECTRA_PRODUCTS": "fma"}),
    ("cuBLAS", {"ESPECTRA_HESSIAN_PRODUCTS": "cublas"}),
    ("by the model", {}),
]

# Kernels that may be among the five that take most time, for -k of ncu, with their benchmarks.
HOT_KERNELS = [
    ("LayerBlockProduct", "kernels/digits/contract_layer_block/layer1"),
    ("CrossBlockProduct", "kernels/digits/contract_cross_block"),
    ("PullBackProduct", "kernels/digits/pull_back"),
    ("ForwardProduct", "kernels/digits/dense_forward/layer1"),
    ("GradientProduct", "kernels/digits/dense_backward/layer1"),
    ("TangentForwardProduct", "kernels/digits/dense_tangent_forward/layer1"),
    ("SummarizeRowsKernel", "kernels/digits/summarize"),
    ("SymmetrizeKernel", "kernels/digits/symmetrize"),
    ("FusedSpectrumKernel", "kernels/planar_x1024/fused_spectrum"),
    ("EigenvaluesKernel", "kernels/planar_x1024/symmetric_eigenvalues"),
    ("LayerBlockProduct", "kernels/planar_x1024/contract_layer_block/layer1"),
    ("FewInputsForwardKernel", "kernels/planar_x1024/dense_forward/layer1"),
]
NCU_FIGURES = {"seconds": r"Duration\s+(\S+)\s+([\d.,]+)", "multiprocessors_percent": r"Compute \(SM\) Throughput\s+(%)\s+([\d.,]+)",
               "memory_percent": r"DRAM Throughput\s+(%)\s+([\d.,]+)", "occupancy_percent": r"Achieved Occupancy\s+(%)\s+([\d.,]+)",
               "registers": r"Registers Per Thread\s+(\S+)\s+([\d.,]+)"}
NCU_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "nsecond": 1e-9, "usecond": 1e-6, "msecond": 1e-3, "second": 1}

# Six kinds of networks: by one fused kernel, and by operations with spectra in batches.
STRESS_RECIPE = """
data = { source = "nonlinear", test_fraction = 0.2 }
train = { epochs = 20, replicas = 4 }
spectrum.epochs = [0, 10, 20]
[sweep]
"network.activation" = ["esp", "relu", "sigmoid"]
"network.hidden" = [[10], [20, 5]]
"""
# The same with less work, for the emulated device.
EMULATED_STRESS_RECIPE = """
data = { source = "linear", test_fraction = 0.2 }
train = { epochs = 2, replicas = 2 }
spectrum.epochs = [0, 2]
[sweep]
"network.activation" = ["esp", "relu", "sigmoid"]
"network.hidden" = [[4], [16, 5]]
"""
EMULATED_DIGITS = ["train.epochs=2", "spectrum.epochs=[0,2]", "network.hidden=[2]"]
# In every configuration of the device tests on the emulated device, which runs all of them by itself (tests/ptx).
EMULATED_TESTS = ["Device/Cuda.ForwardLayers", "Device/Cuda.EigenvaluesOfLargerMatrices"]
SANITIZER_ERROR = 86


class Checks:
    """What the steps share: the programs, the device and the options."""

    def __init__(self, installation, options, device):
        self.installation, self.options, self.device = installation, options, device
        self.emulated = options.emulated
        # Several processes at a time hide the start of each; the device may refuse that.
        self.jobs = options.jobs if device["shared"] else 1
        self.small = ["--small"] if self.emulated else []

    def program(self, name):
        return self.installation.programs / name

    def test(self, name):
        return self.installation.tests / name

    def facts(self, step, section, limit, name=None, environment=None):
        """Measures one section of espectra-cuda-facts in a process of its own; returns its facts or None."""
        name = name or section
        seconds = 0.85 * min(limit * step.runner.slowness, step.left())
        command = [self.program("espectra-cuda-facts"), section, "--seconds", f"{max(seconds, 0.1):.1f}", *self.small]
        found = step.json(name, command, limit, environment)
        return found.get(section) if isinstance(found, dict) else None

    # ---- the machine ----

    def machine(self, step):
        """Clocks and versions, every answer of the libraries that needs no work of the device, and kernels."""
        if not self.emulated:
            tool = find_tool("nvidia-smi")
            if tool:
                step.require("nvidia-smi", [tool, "-q"], 10)
            else:
                step.problems.append("nvidia-smi not found in PATH")
        step.require("library-calls", [self.test("library_calls_test"), "--gtest_filter=-*AreAllListed"], 15)
        for section in ("device", "workspaces", "kernels"):
            self.facts(step, section, 15)

    # ---- tests, one process each ----

    def device_tests(self, step, program, pattern):
        """Returns the names of the tests of a program that match a pattern of GoogleTest."""
        outcome = step.require(f"list-{program}", [self.test(program), "--gtest_list_tests", f"--gtest_filter={pattern}"], 10)
        names, suite = [], ""
        for line in outcome.out.splitlines():
            word = line.split("#")[0].rstrip()
            if word.startswith("  "):
                names.append(suite + word.strip())
            elif word.endswith("."):
                suite = word.strip()
        if outcome.status == 0 and not names:
            step.problems.append(f"{program}: no test matches {pattern}")
        return names

    def run_test(self, step, name, program, test, environment, prefix=(), limit=30):
        command = [*prefix, self.test(program), f"--gtest_filter={test}"]
        return step.run(name, command, limit, {"ESPECTRA_REQUIRE_GPU": "1", **environment})

    def examine_failure(self, step, label, program, test, environment):
        """Runs a failed test again with launches that are waited for, then under memcheck. Returns what was seen."""
        blocking = {**environment, "CUDA_LAUNCH_BLOCKING": "1", "ESPECTRA_CUDA_CHECK": "1"}
        seen = {"blocking": self.run_test(step, f"{label}-blocking-{test}", program, test, blocking).reason()}
        sanitizer = None if self.emulated else find_tool("compute-sanitizer")
        if sanitizer:
            prefix = [sanitizer, "--tool", "memcheck", "--error-exitcode", SANITIZER_ERROR]
            outcome = self.run_test(step, f"{label}-memcheck-{test}", program, test, environment, prefix)
            seen["memcheck"] = summary_of(outcome) or outcome.reason()
        return seen

    def run_tests(self, step, label, program, tests, environment):
        result = step.results[label] = {"tests": len(tests), "passed": 0, "skipped": [], "failed": {}, "unfinished": []}

        def one(test):
            outcome = self.run_test(step, f"{label}-{test}", program, test, environment)
            failure = None
            if outcome.status is None:
                result["unfinished"].append(test)
            elif outcome.status != 0:
                failure = {"reason": outcome.reason(), "log": outcome.log}
            elif "[  SKIPPED ]" in outcome.out:
                result["skipped"].append(test)
            elif "[  PASSED  ] 1 test" not in outcome.out:
                failure = {"reason": "did not run", "log": outcome.log}
            else:
                with step.lock:
                    result["passed"] += 1
            if failure:
                failure.update(self.examine_failure(step, label, program, test, environment))
                with step.lock:
                    result["failed"][test] = failure
                    step.problems.append(f"{label}: {test}: {failure['reason']}")

        step.each(self.jobs, one, tests)
        if result["skipped"]:
            step.problems.append(f"{label}: skipped: {', '.join(result['skipped'])}")
        if result["unfinished"]:
            step.unfinished.append(f"{label}: {len(result['unfinished'])} of {len(tests)} tests")

    def tests(self, step):
        """The device tests as they are, with multiply-adds, and from PTX for 8.0; those of the runtime."""
        device_tests = EMULATED_TESTS if self.emulated else self.device_tests(step, "gpu_test", "Device/Cuda.*")
        runtime_tests = self.device_tests(step, "cuda_runtime_test", "Cuda.BringsBack*" if self.emulated else "*")
        self.run_tests(step, "native", "gpu_test", device_tests, {})
        self.run_tests(step, "runtime", "cuda_runtime_test", runtime_tests, {})
        self.run_tests(step, "multiply-adds", "gpu_test", device_tests, {"ESPECTRA_PRODUCTS": "fma"})
        if self.emulated:
            self.run_tests(step, "ptx-8.0", "gpu_test", device_tests, {"ESPECTRA_EMULATED_DEVICE": "8.0"})
        else:
            self.run_tests(step, "ptx-8.0", "gpu_test_of_ptx_80", device_tests, {})

    # ---- whole runs ----

    def espectra_run(self, step, name, recipe, output, device, limit, overrides=(), environment=None):
        sets = [word for override in overrides for word in ("--set", override)]
        return step.json(name, [self.program("espectra"), "run", recipe, "--device", device, "--json", "--output", output, *sets],
                         limit, environment)

    def compare(self, step, name, first, second):
        return step.json(name, [self.program("espectra-benchmark"), "compare", first / "results.h5", second / "results.h5"], 20)

    def replay(self, step, name, run, limit):
        """Computes on the device what a file records; differences above the limits are problems."""
        found = step.json(name, [self.program("espectra"), "replay", run, "--device", "cuda", "--json"], limit)
        if not found:
            return
        for key, bound in REPLAY_LIMITS.items():
            if found.get(key) is not None and not found[key] <= bound:
                step.problems.append(f"{name}: {key} {found[key]} above {bound}")
        if str(found.get("device")).startswith("CPU"):
            step.problems.append(f"{name}: ran on {found['device']}")

    def digits(self, step):
        """The digits on the device and on the CPU: times, and eigenvalues at the same θ side by side."""
        recipe, overrides = self.installation.recipes / "digits.toml", EMULATED_DIGITS if self.emulated else ()
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            on_device = self.espectra_run(step, "device", recipe, folder / "device", "cuda", 40, overrides)
            on_host = self.espectra_run(step, "host", recipe, folder / "host", "cpu", 35, overrides)
            if on_device and on_host:
                self.compare(step, "device-against-host", folder / "device", folder / "host")
            if on_host:
                self.replay(step, "host-replayed-on-device", folder / "host/results.h5", 30)
        if self.emulated:
            return  # recorded runs are replayed on the emulated device by tests of their own
        runs = self.installation.recorded_runs(self.options.recorded_runs)
        if not runs:
            step.results["recorded_runs"] = "none found"
        for run in runs:
            self.replay(step, f"replay-{run.stem}", run, 20)

    # ---- eigenvalues ----

    def eigenvalues(self, step):
        for fact in self.facts(step, "known-spectra", 20) or []:
            # What the batched solver of the library gets wrong is found and solved again: a decision.
            wrong = {kind: one["wrong"] for kind, one in fact.get("kinds", {}).items() if one["wrong"]}
            if wrong and fact["solver"] != "batched":
                step.problems.append(f"known-spectra: {fact['solver']}, n = {fact['n']}: wrong: {wrong}")
        self.facts(step, "eigenvalues", 45)
        self.facts(step, "contexts", 20)
        self.facts(step, "single", 40)

    # ---- kernels ----

    def kernels(self, step):
        self.facts(step, "ceilings", 8)
        for name, environment in PRODUCT_VARIANTS:
            self.facts(step, "products", 8, f"products, {name}", environment)
        self.facts(step, "contractions", 8)
        benchmark = [self.program("espectra-benchmark"), "kernels", "--device", "cuda", "--json", *self.small]
        if self.emulated:
            benchmark.append("--benchmark_filter=ceilings|digits/(adam_step|contract_cross_block|symmetrize)")
        step.json("benchmark", benchmark, 35)
        if not self.emulated:
            step.json("training", [self.program("espectra-benchmark"), "training", "--device", "cuda", "--json",
                                   "--benchmark_repetitions=1", "--benchmark_min_time=0.1"], 10)
        self.facts(step, "searches", 15)

    # ---- ncu ----

    def hottest(self, step, count=5):
        """Returns the kernels whose benchmarks took longest in this run, else the first ones."""
        times = {line["name"].split("/iterations")[0]: line["real_time"]
                 for line in (self.options.results.get("kernels", {}).get("benchmark") or {}).get("benchmarks", [])
                 if not line.get("error_occurred")}
        # Those that were not measured are last, in the order of the table.
        chosen = sorted(HOT_KERNELS, key=lambda one: -times.get(one[1], 0))[:count]
        step.results["chosen_by"] = {benchmark: times.get(benchmark) for _, benchmark in chosen}
        return chosen

    def ncu(self, step):
        tool = None if self.emulated else find_tool("ncu")
        if not tool and not self.emulated:
            step.problems.append("ncu not found in PATH, /usr/local/cuda*/bin and /opt/nvidia/nsight-compute")
            return
        for kernel, benchmark in self.hottest(step):
            if self.emulated:
                self.launch(step, kernel, benchmark.replace("planar_x1024", "planar_x2"))
                continue
            outcome = step.require(benchmark, [tool, "--kernel-name-base", "demangled", "-k", f"regex:{kernel}", "--launch-skip", "2",
                                               "--launch-count", "1", "--set", "full", "--print-details", "all",
                                               *self.one_benchmark(benchmark)], 25)
            figures = ncu_figures(outcome.out)
            step.results[benchmark] = {"kernel": kernel, **figures}
            if outcome.status == 0 and not figures:
                step.problems.append(f"{benchmark}: no launch of {kernel} was profiled")

    def one_benchmark(self, name):
        return [self.program("espectra-benchmark"), "kernels", "--device", "cuda", f"--benchmark_filter=^{name}(/|$)", *self.small]

    def launch(self, step, kernel, benchmark):
        """Runs what would be profiled, on the emulated device: the benchmark has to launch the kernel."""
        with tempfile.TemporaryDirectory() as folder:
            launches = pathlib.Path(folder) / "launches"
            outcome = step.require(benchmark, self.one_benchmark(benchmark), 20, {"ESPECTRA_EMULATED_LAUNCHES": str(launches)})
            if outcome.status == 0 and not re.search(kernel, launches.read_text()):
                step.problems.append(f"{benchmark}: no launch of {kernel}")

    # ---- stress ----

    def stress(self, step):
        """Whole sweeps again and again, several at a time, whose bits have to be equal; then with little memory."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            recipe = folder / "stress.toml"
            recipe.write_text(EMULATED_STRESS_RECIPE if self.emulated else STRESS_RECIPE)
            if not self.espectra_run(step, "first", recipe, folder / "first", "cuda", 30):
                return
            if self.emulated:
                for mb in (5, 1):
                    self.with_little_memory(step, recipe, folder, mb, {"ESPECTRA_EMULATED_MEMORY": str(mb * 1000000)})
            else:
                for mb in (3000, 700):
                    self.with_held_memory(step, recipe, folder, mb)
            times = 2 if self.emulated else 20
            equal = []

            def again(i):
                name = f"run-{i}"
                if self.espectra_run(step, name, recipe, folder / name, "cuda", 30):
                    found = self.compare(step, f"compare-{i}", folder / "first", folder / name)
                    if found and not found["same_bits"]:
                        step.problems.append(f"{name}: {found['different_theta']} θ and {found['different_eigenvalues']} "
                                             f"spectra of {found['snapshots']} have other bits than in the first run")
                    equal.append(bool(found and found["same_bits"]))
                step.results.pop(name, None)  # twenty times the same
                step.results.pop(f"compare-{i}", None)

            step.each(min(self.jobs, 4), again, range(1, times + 1))
            step.results["equal_runs"], step.results["runs"] = sum(equal), len(equal)

    def with_held_memory(self, step, recipe, folder, mb):
        """Another process takes all memory of the device but `mb` megabytes meanwhile."""
        holder = subprocess.Popen([sys.executable, device_module.__file__, str(mb * 1000000)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.options.environment)
        try:
            if not holder.stdout.readline():
                step.problems.append(f"memory-{mb}: {holder.communicate()[1].strip()}")
                return
            self.with_little_memory(step, recipe, folder, mb, {})
        finally:
            holder.kill()
            holder.wait()

    def with_little_memory(self, step, recipe, folder, mb, environment):
        """The run either has the same results, or ends with exit status 4 and one line."""
        name = f"memory-{mb}MB"
        output = folder / name
        outcome = step.run(name, [self.program("espectra"), "run", recipe, "--device", "cuda", "--json", "--output", output],
                           30, environment)
        result = step.results[name] = {"exit_status": outcome.status}
        if outcome.status is None:
            step.unfinished.append(name)
        elif outcome.status == 4:
            result["message"] = outcome.error_text.strip()
            if len(result["message"].splitlines()) != 1:
                step.problems.append(f"{name}: expected one line, found {result['message']!r}")
        elif outcome.status != 0:
            step.problems.append(f"{name}: {outcome.reason()}")
        else:
            found = self.compare(step, f"{name}-compare", folder / "first", output)
            # Batches are smaller, in which the library may round otherwise.
            if found and (found["different_theta"] or not found["eigenvalue_error_max"] <= 1e-10):
                step.problems.append(f"{name}: other results than with all memory: {found}")

    # ---- compute-sanitizer ----

    def sanitizer(self, tool):
        def work(step):
            sanitizer = None if self.emulated else find_tool("compute-sanitizer")
            if not sanitizer and not self.emulated:
                step.problems.append("compute-sanitizer not found in PATH and /usr/local/cuda*/bin")
                return
            tests = EMULATED_TESTS[:1] if self.emulated else self.device_tests(step, "gpu_test", "Device/Cuda.*-*Heavy*")
            prefix = [sanitizer, "--tool", tool, "--error-exitcode", SANITIZER_ERROR] if sanitizer else []
            result = step.results["tests"] = {"passed": 0, "failed": {}, "unfinished": []}

            def one(test):
                outcome = self.run_test(step, test, "gpu_test", test, {}, prefix, limit=20)
                summary = summary_of(outcome)
                with step.lock:
                    if outcome.status is None:
                        result["unfinished"].append(test)
                    elif outcome.status == 0 and (summary or self.emulated):
                        result["passed"] += 1
                    else:
                        result["failed"][test] = {"reason": summary or outcome.reason(), "log": outcome.log}
                        step.problems.append(f"{test}: {summary or 'no summary: ' + outcome.reason()}")

            step.each(self.jobs, one, tests)
            if result["unfinished"]:
                step.unfinished.append(f"{len(result['unfinished'])} of {len(tests)} tests")
        return work

    def steps(self):
        """Returns name, function and time limit in seconds of all steps, the most valuable first."""
        return [
            ("machine", self.machine, 20),
            ("tests", self.tests, 60),
            ("digits", self.digits, 90),
            ("eigenvalues", self.eigenvalues, 120),
            ("kernels", self.kernels, 60),
            ("ncu", self.ncu, 60),
            ("stress", self.stress, 40),
            ("memcheck", self.sanitizer("memcheck"), 30),
            ("racecheck", self.sanitizer("racecheck"), 30),
            ("initcheck", self.sanitizer("initcheck"), 30),
            ("synccheck", self.sanitizer("synccheck"), 30),
        ]


def summary_of(outcome):
    """Returns the last summary in the output of compute-sanitizer, or None."""
    found = re.findall(r"=+ (?:ERROR|RACECHECK) SUMMARY: (.*)", outcome.out + outcome.error_text)
    return found[-1] if found else None


def ncu_figures(text):
    """Returns the main figures of the first launch in the output of ncu."""
    figures = {}
    for name, pattern in NCU_FIGURES.items():
        found = re.search(pattern, text)
        if found:
            value = float(found.group(2).replace(",", ""))
            figures[name] = value * NCU_UNITS.get(found.group(1), 1) if name == "seconds" else value
    return figures
