"""Runs the commands of steps with time limits, in several processes at a time, and keeps all that they print."""

import concurrent.futures
import gzip
import json
import os
import re
import signal
import subprocess
import threading
import time


class Interrupted(Exception):
    """A signal has ended the check."""


class Outcome:
    """The end of one command. `status`: its exit status; None if it was ended at its time limit or not started."""

    def __init__(self, status, out="", error_text="", log=None):
        self.status, self.out, self.error_text, self.log = status, out, error_text, log

    def reason(self):
        """Returns the last line that says why a command failed."""
        if self.status is None:
            return "not finished"
        lines = [line for line in (self.error_text or self.out).splitlines() if line.strip()]
        return f"exit status {self.status}: {lines[-1].strip() if lines else 'no output'}"

    def json(self):
        """Returns the JSON object in the output, or None. One that was cut off, as by Google Benchmark at a time
        limit, is completed behind its last whole entry."""
        for text in (self.out, self.out[:self.out.rfind("}") + 1] + "]}"):
            try:
                return json.loads(text)
            except ValueError:
                pass
        return None


class Runner:
    def __init__(self, folder, environment, seconds, root, slowness):
        """`folder`: of the results; the logs are in logs/ in it. `seconds`: of all steps together. The limits of
        steps and commands, which are meant for a device, are multiplied by `slowness`."""
        self.slowness = slowness
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.environment, self.root = environment, root
        self.deadline = time.monotonic() + seconds
        self.processes, self.lock, self.names, self.ended = set(), threading.Lock(), {}, False

    def left(self):
        return self.deadline - time.monotonic()

    def end_all(self):
        """Ends all processes, and lets no other begin."""
        with self.lock:
            self.ended = True
            for process in self.processes:
                kill(process)

    def log_name(self, name):
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
        with self.lock:
            self.names[name] = self.names.get(name, 0) + 1
            return name if self.names[name] == 1 else f"{name}-{self.names[name]}"

    def run(self, name, command, limit, environment=None):
        """Runs a command for at most `limit` seconds. Returns its record for the report, and its outcome."""
        command, environment = [str(part) for part in command], environment or {}
        record = {"name": name, "command": " ".join(command)}
        if environment:
            record["environment"] = environment
        limit = min(limit, self.left())
        if limit <= 0 or self.ended:
            record["exit_status"] = None
            return record, Outcome(None)
        name = self.log_name(name)
        paths = [self.logs / f"{name}.{stream}" for stream in ("out", "err")]
        begin, status, process = time.monotonic(), None, None
        try:
            with open(paths[0], "wb") as out, open(paths[1], "wb") as err, self.lock:
                if not self.ended:
                    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.root,
                                               start_new_session=True, env={**self.environment, **environment})
                    self.processes.add(process)
            status = process.wait(limit) if process else None
        except subprocess.TimeoutExpired:
            record["limit_seconds"] = round(limit, 3)
        finally:  # also where a signal ends the check
            if process:
                kill(process)
                with self.lock:
                    self.processes.discard(process)
            record["exit_status"] = status
            record["seconds"] = round(time.monotonic() - begin, 3)
            record["log"] = f"logs/{name}.txt.gz"
            texts = self.keep(name, paths, record)
        return record, Outcome(status, texts[0], texts[1], record["log"])

    def keep(self, name, paths, record):
        """Compresses the output of a command, with the command, and returns it."""
        texts = [path.read_bytes().decode(errors="replace") for path in paths]
        shown = " ".join(f"{key}={value}" for key, value in record.get("environment", {}).items())
        with gzip.open(self.logs / f"{name}.txt.gz", "wt") as log:
            log.write(f"$ {shown} {record['command']}\n[{record['seconds']} s, exit status {record['exit_status']}]\n")
            log.write(f"---- standard output\n{texts[0]}\n---- standard error\n{texts[1]}\n")
        for path in paths:
            path.unlink()
        return texts


def kill(process):
    """Ends a process and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:  # all have ended
        pass
    process.wait()


class Step:
    """One step of the check: its commands, results, and what is wrong."""

    def __init__(self, name, runner, limit):
        self.name, self.runner = name, runner
        self.begin = time.monotonic()
        self.limit = limit * runner.slowness
        self.deadline = self.begin + min(self.limit, runner.left())
        self.commands, self.results, self.problems, self.unfinished = [], {}, [], []
        self.lock = threading.Lock()

    def left(self):
        return self.deadline - time.monotonic()

    def run(self, name, command, limit, environment=None):
        """Runs a command within the time of the step, and returns its outcome, which decides nothing yet."""
        record, outcome = self.runner.run(f"{self.name}-{name}", command, min(limit * self.runner.slowness, self.left()), environment)
        with self.lock:
            self.commands.append(record)
        return outcome

    def require(self, name, command, limit, environment=None):
        """Runs a command that has to succeed."""
        outcome = self.run(name, command, limit, environment)
        if outcome.status is None:
            self.unfinished.append(name)
        elif outcome.status != 0:
            self.problems.append(f"{name}: {outcome.reason()}")
        return outcome

    def json(self, name, command, limit, environment=None):
        """Runs a command that has to succeed and to print JSON, which becomes a result; returns it or None."""
        outcome = self.require(name, command, limit, environment)
        found = outcome.json()
        if found is not None:
            self.results[name] = found
        elif outcome.status == 0:
            self.problems.append(f"{name}: not JSON: {outcome.out[:200]!r}")
        return found

    def each(self, jobs, work, items):
        """Calls work(item) for all items, `jobs` at a time."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self.runner.end_all()
                raise

    def status(self):
        return "failed" if self.problems else "unfinished" if self.unfinished else "passed"

    def record(self, status=None):
        return {"status": status or self.status(), "seconds": round(time.monotonic() - self.begin, 3),
                "limit_seconds": self.limit, "problems": self.problems, "unfinished": self.unfinished,
                "results": self.results, "commands": self.commands}


def write_json(path, content):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    os.replace(partial, path)
