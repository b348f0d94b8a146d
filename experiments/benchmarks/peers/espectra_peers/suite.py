"""Performs groups of measurements."""

import time
from contextlib import nullcontext

from .compare import check
from .measure import Failure, Worker, alternate, begin


def record_of(group, program, **more):
    return {"case": group.case, "group": group.key, "title": group.title, "work": group.work, "program": program.key,
            "label": program.label, "does": program.does, "threads": group.threads, "scale": group.scale,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **more}


class Suite:
    def __init__(self, store, espectra, say=print):
        self.store, self.espectra, self.say = store, espectra, say

    def worker(self, group, program):
        work = "spectra" if group.work == "top" and program.module == "espectra" else group.work
        output = self.store.output(group.key, program.key)
        output.unlink(missing_ok=True)
        command = program.command(work, self.store.problem(group.key), output, group.threads, self.espectra)
        return Worker(command, group.threads, group.limits, output.with_suffix(".log"), self.espectra.device)

    def measure(self, group):
        """Measures all programs of the group that have no measurement, Espectra first and alternately with each."""
        own = group.programs[0]
        missing = [p for p in group.programs if self.store.get(group.key, p.key) is None]
        if not missing:
            return
        if not self.store.problem(group.key).exists():
            group.problem().write(self.store.problem(group.key))
        try:
            with self.worker(group, own) as worker:
                first = begin(worker)
                seconds, _, peak = alternate(worker, first)
                record = record_of(group, own, seconds=seconds, peak_bytes=peak, **self.facts(first))
                if self.store.get(group.key, own.key) is None:
                    self.store.put(record)
                    self.tell(record)
                reference = record
                for program in missing if group.together else ():
                    if program is not own:
                        self.measure_alternating(group, program, worker)
        except Failure as failure:
            reference = record_of(group, own, failed=str(failure))
            self.store.put(reference)
            self.tell(reference)
        for program in missing:
            if program is not own and self.store.get(group.key, program.key) is None:
                self.measure_alternating(group, program, None, reference.get("seconds", []))
        for program in group.programs:
            self.store.output(group.key, program.key).unlink(missing_ok=True)
        self.store.problem(group.key).unlink()

    @staticmethod
    def facts(first):
        return {name: first[name] for name in ("prepare_seconds", "first_seconds", "calls", "loaded_bytes", "versions", "method")
                if name in first}

    def measure_alternating(self, group, program, reference, before=()):
        """Measures one program. `reference` is Espectra's worker, or None if both do not fit into memory; in
        that case `before` are the seconds that Espectra took."""
        espectra_output = self.store.output(group.key, group.programs[0].key)
        try:
            with self.worker(group, program) as worker:
                first = begin(worker)
                agreement = {}
                if espectra_output.exists():
                    agreement = check(group.work, self.store.output(group.key, program.key), espectra_output)
                seconds, espectra_seconds, peak = alternate(worker, first, reference)
                record = record_of(group, program, seconds=seconds, espectra_seconds=espectra_seconds or list(before),
                                   peak_bytes=peak, agreement=agreement, **self.facts(first))
        except Failure as failure:
            record = record_of(group, program, failed=str(failure), espectra_seconds=list(before))
        self.store.put(record)
        self.tell(record)

    def tell(self, record):
        done = record.get("failed") or ", ".join(f"{s:.4g}" for s in record["seconds"]) + " s"
        self.say(f"{record['group']:24} {record['label']:52} {done}")
