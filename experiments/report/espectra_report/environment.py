"""For scripts that need the report's packages. Imports nothing but the standard library."""

import os
import sys
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[3] / "build/environments/report/bin/python"


def enter():
    """Starts the script anew in the environment that scripts/setup makes, if there is one and this Python is another."""
    if PYTHON.exists() and Path(sys.prefix) != PYTHON.parents[1]:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
