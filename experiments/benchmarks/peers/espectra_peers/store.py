"""Stored measurements, one file each: a second run with the same folder resumes with the missing ones."""

import json
import os
from pathlib import Path


class Store:
    def __init__(self, folder: Path):
        self.folder = Path(folder)
        for name in ("measurements", "problems", "outputs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def path(self, group, program):
        return self.folder / "measurements" / f"{group}--{program}.json"

    def get(self, group, program):
        """Returns the record, or None; a program that was not installed is measured again."""
        try:
            record = json.loads(self.path(group, program).read_text())
        except FileNotFoundError:
            return None
        return None if record.get("failed", "").startswith("not installed") else record

    def put(self, record):
        path = self.path(record["group"], record["program"])
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        os.replace(partial, path)

    def all(self):
        return {(r["group"], r["program"]): r for r in
                (json.loads(p.read_text()) for p in sorted((self.folder / "measurements").glob("*--*.json")))}

    def problem(self, group):
        return self.folder / "problems" / f"{group}.h5"

    def output(self, group, program):
        return self.folder / "outputs" / f"{group}--{program}.h5"
