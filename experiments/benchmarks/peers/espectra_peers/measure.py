"""Measurements: each program runs in a process of its own with limits, and its results are compared before it
is timed.

The processes of a program and of Espectra repeat the work alternately, so both are timed under the same load.
"""

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from .worker import is_out_of_memory

GIB = 1 << 30
REPETITIONS = 5


@dataclasses.dataclass(frozen=True)
class Limits:
    seconds: float = 600  # of one call
    prepare_seconds: float = 300  # additional time of the first call: importing, building graphs, compiling
    total_seconds: float = 300  # of all repetitions of one program
    bytes: int = 16 * GIB  # of resident memory
    repetitions: int = REPETITIONS


class Failure(Exception):
    """A measurement failed; the text is the reason as shown in the table."""


def minutes(seconds):
    return f"more than {seconds / 60:g} min" if seconds >= 60 else f"more than {seconds:g} s"


def environment(threads, device):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
             "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return {**os.environ, **{name: str(threads) for name in names}, **hidden, "PEERS_DEVICE": device,
            "JAX_PLATFORMS": device, "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # two programs share the device
            "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1",
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
            "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}


def resident_bytes(pid):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def available_bytes():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo: no MemAvailable")


def stopped(pid):
    """Returns True if every thread of a process is stopped or has ended."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
        if state not in "TtZX":
            return False
    return True


class Worker:
    """A process that answers with lines of JSON. It is killed if it exceeds its memory limit or if the
    machine runs out of memory."""

    LEFT_TO_OTHERS = GIB
    STOPPING_SECONDS = 60.0

    def __init__(self, command, threads, limits, log, device="cpu"):
        self.limits, self.log, self.device, self.too_large = limits, Path(log), device, False
        cores = set(sorted(os.sched_getaffinity(0))[:threads])
        self.text = b""
        with open(self.log, "wb") as stderr:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
                env={**environment(threads, device), **self._data_limit()},
                preexec_fn=lambda: os.sched_setaffinity(0, cores))
        try:  # if memory runs out nevertheless, the system kills this process first
            Path(f"/proc/{self.process.pid}/oom_score_adj").write_text("1000")
        except OSError:
            pass
        threading.Thread(target=self._watch, daemon=True).start()

    def _data_limit(self):
        """Returns the limit of the data segment; none on a device, whose memory is mapped into the process."""
        return {"PEERS_DATA_BYTES": str(self.limits.bytes + 4 * GIB)} if self.device == "cpu" else {}

    def _watch(self):
        while self.process.poll() is None:
            if resident_bytes(self.process.pid) > self.limits.bytes or available_bytes() < self.LEFT_TO_OTHERS:
                self.too_large = True
                return self.end()
            time.sleep(0.05)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def answer(self, seconds):
        """Returns the next line; raises Failure if it does not come within `seconds`."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.text:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                self.end()
                raise Failure(minutes(seconds))
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                raise Failure(self._why_ended())
            self.text += part
        line, self.text = self.text.split(b"\n", 1)
        answer = json.loads(line)
        if "failed" in answer:
            self.end()
            raise Failure(self._memory() if answer["failed"] == "out of memory" else answer["failed"])
        return answer

    def _memory(self):
        return f"out of memory ({self.limits.bytes / GIB:g} GiB{'' if self.device == 'cpu' else ' of the host, or the device'})"

    def _why_ended(self):
        status = self.process.wait()
        lines = self.log.read_text(errors="replace").strip().splitlines()
        if self.too_large or any(is_out_of_memory(line) for line in lines[-20:]):
            return self._memory()
        return f"ended with {status}: {lines[-1][:160] if lines else 'no message'}"

    def pause(self):
        """Stops the process until its next repetition, since idle threads of some libraries poll for work and
        would occupy a core of the other program. Returns when all threads have stopped: a thread that returns
        gigabytes to the system stops only afterwards."""
        try:
            os.killpg(self.process.pid, signal.SIGSTOP)
        except ProcessLookupError:  # it has ended; the next repetition reports the reason
            return
        deadline = time.monotonic() + self.STOPPING_SECONDS
        while not stopped(self.process.pid):
            if time.monotonic() > deadline:
                raise Failure(f"did not stop within {self.STOPPING_SECONDS:g} s of a signal")
            time.sleep(0.001)

    def repeat(self):
        try:
            os.killpg(self.process.pid, signal.SIGCONT)
            self.process.stdin.write(b"again\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ProcessLookupError):
            raise Failure(self._why_ended()) from None
        return self.answer(self.limits.seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that does the work: a module work_<module>.py and the method that it uses. Espectra has its
    own command instead of a module."""

    key: str
    label: str
    module: str
    method: str = ""
    does: str = ""  # its result, if that is less than the work of the group

    def command(self, work, problem, output, threads, espectra):
        if self.module == "espectra":
            return espectra.command(work, problem, output, threads)
        return [sys.executable, "-m", "espectra_peers.worker", self.module, self.method, work, str(problem), str(output),
                str(threads)]


@dataclasses.dataclass(frozen=True)
class Espectra:
    """The programs of a build folder, and the device that they use: cpu or cuda."""

    bin: Path
    device: str = "cpu"

    def command(self, work, problem, output, threads):
        if work == "run":
            return [sys.executable, "-m", "espectra_peers.worker", "espectra_run", str(self.bin / "espectra"), work,
                    str(problem), str(output), str(threads)]
        from .problem import Problem
        epochs = [str(Problem.read(problem).epochs)] if work == "training" else []
        return [str(self.bin / "espectra-benchmark"), "recorded", work, str(problem), str(output), str(threads), *epochs,
                "--device", self.device]


def begin(worker):
    """Returns the answer of the first call."""
    return worker.answer(worker.limits.seconds + worker.limits.prepare_seconds)


LONG = 20.0  # seconds; a longer first call counts as a repetition, since it does not include compilation


def alternate(worker, first, reference=None):
    """Repeats both alternately; returns two lists of seconds, and the peak memory of the first program."""
    limits, started = worker.limits, time.monotonic()
    seconds, reference_seconds = [], []
    peak = first["peak_bytes"]

    def turn_of_reference():
        if reference:
            worker.pause()
            reference_seconds.append(reference.repeat()["seconds"])
            reference.pause()

    if first["first_seconds"] > LONG:
        seconds.append(first["first_seconds"])
        started -= first["first_seconds"]
        turn_of_reference()
    while len(seconds) < limits.repetitions:
        if seconds and time.monotonic() - started > limits.total_seconds:
            break
        turn_of_reference()
        answer = worker.repeat()
        seconds.append(answer["seconds"])
        peak = max(peak, answer["peak_bytes"])
    return seconds, reference_seconds, peak
