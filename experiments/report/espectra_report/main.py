"""The command `espectra report`: figures, animations and one HTML page from the results of runs."""

import argparse
import ctypes
import fnmatch
import json
import os
import re
import shutil
import signal
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

OK, BAD_INPUT, RESOURCE, INTERRUPTED = 0, 2, 4, 130  # exit statuses, the same as those of espectra

try:
    from espectra_report import animation, figures, style
    from espectra_report.eigenvalue_axis import recorded_epochs
    from espectra_report.page import Made, write_page
    from espectra_report.results import ReportError, comparisons, open_runs, results_path
except ModuleNotFoundError as missing:
    print(f"espectra-report: the Python package {missing.name} is not installed; scripts/setup creates an "
          "environment with it", file=sys.stderr)
    sys.exit(RESOURCE)

MOST_WORKERS = 8  # each loads 150 MB of libraries
# Entries of the folder of a report; `font` only while the report is made.
CONTENT = {"index.html", "figures", "animations", "font"}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ReportError(f"{message} (see espectra report --help)")


def parse(words):
    parser = Parser(prog="espectra report",
                    description="Figures (PDF, SVG, PNG), animations (MP4, GIF) and one HTML page that works without a network, from results of "
                    "espectra run or from recorded runs.",
                    epilog="Exit status: 0 done, 2 wrong use or bad input, 4 memory, disk or a missing program, 130 interrupted.")
    parser.add_argument("results", nargs="+", metavar="DIR|RESULTS.h5", help="folder of a run, its results.h5, or a recorded run")
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="folder of the report, in which an older report is replaced; default: report, "
                        "next to the results; required for several results")
    parser.add_argument("--networks", action="append", metavar="PATTERN",
                        help="only groups whose name matches, for example 'nonlinear_2-10-1_*'; may be given several times")
    parser.add_argument("--epochs", metavar="E,E,…", help="epochs of the eigenvalue densities; default: first, last and two between")
    parser.add_argument("--no-animation", action="store_true", help="leave the animations out")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--version", action="version", version="espectra-report 1")
    arguments = parser.parse_args(words)
    if arguments.epochs is not None:
        try:
            arguments.epochs = sorted({int(word) for word in arguments.epochs.split(",")})
        except ValueError:
            raise ReportError(f"--epochs {arguments.epochs}: expected epochs separated by commas") from None
    if len(arguments.results) > 1 and arguments.output is None:
        raise ReportError("several results need --output DIR for their report")
    return arguments


def select(runs, patterns):
    """Keeps in each run the networks whose names match one of the patterns; returns the runs that have
    any."""
    for run in runs:
        run.networks = [network for network in run.networks if any(fnmatch.fnmatch(network.name, pattern) for pattern in patterns)]
    if not any(run.networks for run in runs):
        raise ReportError(f"--networks {' '.join(patterns)}: no network of that name in {', '.join(str(run.path) for run in runs)}")
    return [run for run in runs if run.networks]


def load(arguments, check=True):
    runs = open_runs(arguments.results, check)
    if arguments.networks:
        runs = select(runs, arguments.networks)
    if check and arguments.epochs is not None:
        recorded = recorded_epochs([network for run in runs for network in run.networks])
        for epoch in arguments.epochs:
            if epoch not in recorded:
                raise ReportError(f"--epochs {epoch}: not recorded; expected some of {', '.join(map(str, recorded))}")
    return runs


def notes_of(runs, shown, all_comparisons):
    """Returns the notes that precede the figures."""
    notes = []
    for run in runs:
        done = sum(int(network.recorded.sum()) for network in run.networks)
        total = sum(network.recorded.size for network in run.networks)
        name = f"{run.prefix}: " if run.prefix else ""
        if run.state != "recorded" and (run.state != "complete" or done < total):
            state = run.state or "of unknown state"
            notes.append(f"{name}the run is {state}: it has {done} of {total} records.")
        if not any(network.has_spectra for network in run.networks):
            notes.append(f"{name}there are no spectra in {run.path.name}: figures of eigenvalues are left out.")
    if len(shown) < len(all_comparisons):
        notes.append(f"Figures of single settings are drawn for {len(shown)} of {len(all_comparisons)}: {', '.join(one.title for one in shown)}. "
                     "--networks PATTERN chooses others; tables, maps and interactive plots show all.")
    return notes


_PR_SET_PDEATHSIG = 1  # prctl(2)

# The data of a worker process, which opens the files itself since HDF5 handles do not survive a fork.
_work = {}


def _prepare(arguments, folder):
    """Initialises a worker process. It is killed when its parent ends, ignores SIGINT, and ends at SIGTERM
    and SIGHUP."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    runs = load(arguments, check=False)
    groups = comparisons(runs)
    _work.update(folder=folder, drawings=figures.catalogue(groups, arguments.epochs), shown=figures.shown_in_full(groups),
                 film_names=figures.film_names(groups))


def _draw(index):
    """Draws and saves figure number `index`; returns its files, or None if there is nothing to draw."""
    drawing = _work["drawings"][index]
    figure = drawing.draw()
    return None if figure is None else style.save(figure, _work["folder"] / "figures", drawing.name)


def _animate(index):
    return animation.animate(_work["shown"][index], _work["folder"] / "animations", _work["film_names"][index])


class Progress:
    """Progress on standard error: one line, rewritten in place, if that is a terminal; otherwise nothing."""

    def __init__(self, quiet):
        self.shown = sys.stderr.isatty() and not quiet
        self.begin = time.monotonic()

    def show(self, done, total):
        if self.shown:
            left = (time.monotonic() - self.begin) / max(done, 1) * (total - done)
            print(f"\r\033[K{100 * done // total:3d} %  {done}/{total} figures and animations"
                  + (f"  {left:.0f} s left" if done else ""), end="", file=sys.stderr, flush=True)

    def finish(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def make(arguments, runs, folder):
    """Makes the report in an existing folder; returns the numbers of the final message."""
    groups = comparisons(runs)
    shown = figures.shown_in_full(groups)
    drawings = figures.catalogue(groups, arguments.epochs)
    for name in ("figures", "animations", "font"):
        (folder / name).mkdir()
    style.use(folder / "font")  # before the workers are forked, which inherit it
    moving = [] if arguments.no_animation else list(range(len(shown)))
    progress = Progress(arguments.json)
    total = len(drawings) + len(moving)
    files, films = {}, {}
    workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, get_context("fork"), _prepare, (arguments, folder)) as pool:
        # Animations first: they take longest.
        work = {pool.submit(_animate, i): (films, i) for i in moving} | {pool.submit(_draw, i): (files, i) for i in range(len(drawings))}
        try:
            for done, future in enumerate(as_completed(work), start=1):
                where, index = work[future]
                where[index] = future.result()
                progress.show(done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            progress.finish()
    made = [Made(drawings[i], files[i]) for i in sorted(files) if files[i]]
    animations = [(shown[i].title, films[i]) for i in sorted(films) if films[i]]
    notes = notes_of(runs, shown, groups)
    if any("mp4" not in paths for _, paths in animations):
        notes.append("The program ffmpeg is not installed: animations are available as GIF only.")
    shutil.rmtree(folder / "font")
    if not animations:
        (folder / "animations").rmdir()
    write_page(folder / "index.html", runs, groups, made, animations, notes)
    for run in runs:
        run.close()
    return {"figures": len(made), "animations": len(animations), "bytes": (folder / "index.html").stat().st_size, "notes": notes}


def holds_a_report(folder):
    return folder.is_dir() and {entry.name for entry in folder.iterdir()} <= CONTENT


def put_in_place(new, folder, old):
    """Moves the finished report `new` to `folder`; an older report there is first moved to `old`, then
    removed."""
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def report(arguments):
    begin = time.monotonic()
    folder = arguments.output or results_path(arguments.results[0]).parent / "report"
    if folder.name in ("", ".."):
        folder = Path(os.path.abspath(folder))
    new, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    for path in (folder, new, old):
        if path.exists() and not holds_a_report(path):
            raise ReportError(f"{path}: exists and is not a report; give another --output")
    if old.exists() and not folder.exists():
        old.rename(folder)  # moved by a process that was killed
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    runs = load(arguments)  # finds bad input before anything is created
    new.mkdir(parents=True)
    try:
        outcome = make(arguments, runs, new)
        put_in_place(new, folder, old)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    outcome = {"report": str(folder / "index.html"), **outcome, "seconds": round(time.monotonic() - begin, 2)}
    if arguments.json:
        print(json.dumps(outcome, ensure_ascii=False))
    else:
        for note in outcome["notes"]:
            print(f"note: {note}")
        print(f"{counted(outcome['figures'], 'figure')} (PDF, SVG, PNG) and {counted(outcome['animations'], 'animation')} "
              f"in {outcome['seconds']:.0f} s: {folder}")
        print(f"report: {outcome['report']} ({outcome['bytes'] / 1e6:.1f} MB, opens in a browser)")
    sys.stdout.flush()


def counted(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def damaged(error):
    """Returns true if HDF5 raised the exception because a file cannot be read; h5py has no exception type for
    this."""
    if isinstance(error, UnicodeDecodeError):
        return True
    return getattr(error, "errno", None) is None and re.search(r"synchronously|Unable to |Can't ", str(error)) is not None


def interrupt(number, frame):
    raise KeyboardInterrupt


def main(words=None):
    arguments = None
    # Warnings of libraries about unusual data; the tests of the figures treat them as errors.
    warnings.simplefilter("ignore")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        arguments = parse(words)
        report(arguments)
        return OK
    except ReportError as error:
        message, status = str(error), BAD_INPUT
    except KeyboardInterrupt:
        message, status = "interrupted; nothing was written", INTERRUPTED
    except MemoryError:
        message, status = "out of memory", RESOURCE
    except BrokenProcessPool:
        message, status = "a worker process ended abruptly (out of memory?)", RESOURCE
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if damaged(error):
            message, status = f"{', '.join(arguments.results)}: damaged, HDF5 cannot read it: {error}", BAD_INPUT
        elif isinstance(error, OSError):
            message, status = str(error), RESOURCE
        else:
            raise
    print("espectra-report: " + " ".join(message.splitlines()), file=sys.stderr)
    return status
