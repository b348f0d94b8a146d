"""Tests what experiments/studies/import-recorded-runs refuses: hostile pickles, damaged and incomplete runs,
and existing files."""

import io
import os
import pickle
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
from authors_repository import GRADIENTS, IMPORTER, run, run_here, write_npy


def refused(tmp_path, miniature, change):
    """Makes `change` to a copy of one run and returns the error line; checks that nothing is written."""
    repository = tmp_path / "repository"
    folder = repository / "TF/Artificial_class/10_Lin/ftmp_10"
    folder.mkdir(parents=True)
    (repository / "TF/Lindata.mat").write_bytes((miniature.folder / "TF/Lindata.mat").read_bytes())
    for path in (miniature.folder / "TF/Artificial_class/10_Lin/ftmp_10").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    change(folder)
    status, out, lines = run_here(repository, tmp_path / "out")
    assert (status, out, len(lines)) == (2, [], 1), lines
    assert not any((tmp_path / "out").iterdir())
    return lines[0]


# --- pickles


class Malice:
    """An object whose pickle is a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Subclass(np.ndarray):
    pass


def nested(thing):
    values = np.empty((36, 6, 2), object)
    for place in np.ndindex(values.shape):
        values[place] = np.zeros((1, 1))
    values[0, 0, 0] = thing
    return values


def deep_objects():
    inner = np.empty((1, 1), object)
    inner[0, 0] = np.zeros(1)
    return nested(inner)


HOSTILE = {
    "os.system": (lambda mark: Malice(os.system, f"touch {mark}"), "posix.system"),
    "builtins.eval": (lambda mark: Malice(eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
    "open": (lambda mark: Malice(open, str(mark), "w"), "io.open"),
    "in an array": (lambda mark: nested(Malice(os.system, f"touch {mark}")), "posix.system"),
    "subclass": (lambda mark: np.zeros((36, 6)).view(Subclass), "Subclass"),
    "in an array of objects": (lambda mark: nested(nested(Malice(os.system, f"touch {mark}"))), "posix.system"),
    "objects in objects": (lambda mark: deep_objects(), "expected an array of f4 or f8"),
    "getattr": (lambda mark: Malice(getattr, os, "system"), "builtins.getattr"),
    "numpy.load": (lambda mark: Malice(np.load, str(mark)), "numpy.load"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, miniature, name):
    make, word = HOSTILE[name]
    mark = tmp_path / "mark"

    def change(folder):
        content = io.BytesIO()
        try:
            pickle.dump(make(mark), content, protocol=4)
        except (TypeError, pickle.PicklingError):  # modules cannot be pickled by name
            content = io.BytesIO(b"\x80\x04cbuiltins\ngetattr\n.")
        write_npy(folder / GRADIENTS, "{'descr': '|O', 'fortran_order': False, 'shape': (36, 6, 2), }", content.getvalue())

    line = refused(tmp_path, miniature, change)
    assert GRADIENTS in line and word in line
    assert not mark.exists()


NDARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"


def array_pickle(shape, code, data):
    """Returns the opcodes of one array as written by NumPy, whatever its shape and data claim."""
    text = lambda s: b"U" + bytes([len(s)]) + s  # noqa: E731
    numbers = b"(" + b"".join(pickle.LONG1 + bytes([8]) + struct.pack("<q", n) for n in shape) + b"t"
    kind = b"cnumpy\ndtype\n(" + text(code) + b"K\x00K\x01tR(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return NDARRAY + b"(K\x01" + numbers + kind + b"\x89" + data + b"tb"


def of_arrays(element):
    return b"\x80\x02" + array_pickle([36, 6, 2], b"O", b"(" + element * 432 + b"l") + b"."


RAW = {
    "persistent id": (b"\x80\x02X\x01\x00\x00\x00aQ.", "opcode"),
    "persistent id of protocol 0": (b"Pmark\n.", "opcode"),
    "extension code": (b"\x80\x02\x82\x01.", "opcode"),
    "huge shape": (of_arrays(array_pickle([10**12], b"f8", b"U\x08" + 8 * b"\0")),
                   "8 bytes in an array of shape (1000000000000,)"),
    "huge array of objects": (b"\x80\x02" + array_pickle([10**15, 6, 2], b"O", b"]") + b".", "(1000000000000000, 6, 2)"),
    "negative shape": (of_arrays(array_pickle([-1, -1], b"f8", b"U\x08" + 8 * b"\0")),
                       "shape is not a tuple of sizes"),
    "shape of 2⁴⁰ tuples": (b"\x80\x02" + NDARRAY + b"(K\x01)" + 40 * b"2\x86" + b"NNNtb.", "shape is not a tuple of sizes"),
    "type of 2⁴⁰ tuples": (of_arrays(NDARRAY + b"(K\x01)cnumpy\ndtype\n()" + 40 * b"2\x86" + b"tR\x89U\x00tb"),
                           "expected an array of f4 or f8, found something else"),
    "objects as numbers": (of_arrays(array_pickle([1], b"O", b"U\x08" + 8 * b"\0")),
                           "expected an array of f4 or f8"),
    "fewer objects than the shape says": (b"\x80\x02" + array_pickle([36, 6, 2], b"O", b"]") + b".", "0 objects in an array of shape"),
    "bytearray of 8 EB": (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".", "opcode"),
    "memo of 2³² entries": (b"\x80\x02Nr\xff\xff\xff\xff.", "expected an array, found NoneType"),
    "frame of 8 EB": (b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".", "found: "),
    "bytes of 8 EB": (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".", "found: "),
    "state of a type": (b"\x80\x02cnumpy\ndtype\n}b.", "found: "),
    "other encoding": (b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00ziptR.", "_codecs.encode"),
    "empty": (b"", "found: "),
    "cut": (b"\x80\x02" + NDARRAY[:20], "found: "),
}


@pytest.mark.parametrize("name", RAW)
def test_raw_pickles_are_refused(tmp_path, miniature, name):
    content, word = RAW[name]

    def change(folder):
        write_npy(folder / GRADIENTS, "{'descr': '|O', 'fortran_order': False, 'shape': (36, 6, 2), }", content)

    line = refused(tmp_path, miniature, change)
    assert GRADIENTS in line and word in line


def test_arrays_of_the_raw_tests_are_those_of_numpy():
    """NumPy itself reads a pickle of the above opcodes, so the refusals are not due to a wrong test."""
    value = pickle.loads(b"\x80\x02" + array_pickle([2], b"f8", b"U\x10" + struct.pack("<dd", 1.5, -2)) + b".", encoding="latin1")
    assert value.tolist() == [1.5, -2.0]


BIG = 2**20


def many_of_one():
    """Returns 432 entries that are all the same array of 1 MiB."""
    array = array_pickle([BIG // 8], b"f8", b"T" + struct.pack("<I", BIG) + BIG * b"\0")
    return b"\x80\x02" + array_pickle([36, 6, 2], b"O", b"(" + array + b"q\x00" + 431 * b"h\x00" + b"l") + b"."


def many_of_one_text():
    """Returns 432 arrays, each of the bytes that _codecs.encode makes from the same text of 1 MiB."""
    text = b"X" + struct.pack("<I", BIG) + BIG * b"\0" + b"q\x00"
    encoded = lambda text: b"c_codecs\nencode\n(" + text + b"X\x06\x00\x00\x00latin1tR"  # noqa: E731
    arrays = [array_pickle([BIG // 8], b"f8", encoded(text if k == 0 else b"h\x00")) for k in range(432)]
    return b"\x80\x02" + array_pickle([36, 6, 2], b"O", b"(" + b"".join(arrays) + b"l") + b"."


@pytest.mark.parametrize("make", [many_of_one, many_of_one_text])
def test_one_array_many_times_takes_no_memory(tmp_path, make):
    write_npy(tmp_path / GRADIENTS, "{'descr': '|O', 'fortran_order': False, 'shape': (36, 6, 2), }", make())
    tracemalloc.start()
    try:
        with pytest.raises(IMPORTER.ImportFailure, match=f"arrays of {432 * BIG} bytes in a file of "):
            IMPORTER.gradients_and_variables(tmp_path / GRADIENTS, 36)
        assert tracemalloc.get_traced_memory()[1] < 16 * BIG
    finally:
        tracemalloc.stop()


# --- runs and repositories

HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"
CHANGES = {
    "pickle where numbers belong": (lambda f: np.save(f / "cost_ftmp10.npy", np.array([Malice(os.system, "false")], object)),
                                    "cost_ftmp10.npy: expected an array of numbers"),
    "huge declared shape": (lambda f: write_npy(f / "hessians_ftmp10.npy", HEADER % "(36, 10000000, 10000000)", b"\0" * 64),
                            "hessians_ftmp10.npy: expected an array of numbers"),
    "code in the header": (lambda f: write_npy(f / "cost_ftmp10.npy", HEADER % "(__import__('os').getpid(),)", b"\0" * 64),
                           "cost_ftmp10.npy: expected an array of numbers"),
    "a missing file": (lambda f: (f / "index_ftmp10.npy").unlink(), "expected one file index_<suffix>.npy, found none"),
    "two of one": (lambda f: np.save(f / "zeros_more.npy", np.zeros(36)),
                   "expected one file zeros_<suffix>.npy, found zeros_ftmp10.npy, zeros_more.npy"),
    "other number of records": (lambda f: np.save(f / "cost_ftmp10.npy", np.zeros(35)), "expected 36, 56, 62, 66 records, found 35"),
    "other shape": (lambda f: np.save(f / "eigen_ftmp10.npy", np.zeros((36, 51))),
                    "eigen_ftmp10.npy: expected shape (36, 52), found (36, 51)"),
    "other residuals": (lambda f: np.save(f / "residual_ftmp10.npy", np.load(f / "residual_ftmp10.npy") + 2e-12),
                        "residuals: expected the recorded value within 1e-12, found a difference of 2e-12 with esp"),
    "other cost": (lambda f: np.save(f / "cost_ftmp10.npy", np.load(f / "cost_ftmp10.npy") * 1.00001),
                   "first cost: expected the recorded value within 1e-06"),
    "other name": (lambda f: f.rename(f.with_name("relu_10")), "its name says relu, expected 2 variables for each layer, found 3"),
    "no data": (lambda f: (f.parents[2] / "Lindata.mat").unlink(), "Lindata.mat: expected a MATLAB file with X and y, found none"),
    "damaged data": (lambda f: (f.parents[2] / "Lindata.mat").write_bytes(b"no MATLAB" * 40), "Lindata.mat: expected a MATLAB 5 file"),
    "text": (lambda f: (f / "cost_ftmp10.npy").write_text("1 2 3"), "cost_ftmp10.npy: expected an array of numbers"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_bad_runs_are_refused(tmp_path, miniature, name):
    change, words = CHANGES[name]
    assert words in refused(tmp_path, miniature, change)


def test_one_bad_run_does_not_stop_the_others(tmp_path, miniature):
    repository = tmp_path / "repository"
    subprocess.run(["cp", "-r", miniature.folder, repository], check=True)
    (repository / "TF/Artificial_class/10_Lin/Relu_10/cost_relu10.npy").unlink()
    outcome = run(repository, tmp_path / "out")
    assert outcome.returncode == 2
    assert len(outcome.stderr.splitlines()) == 1 and "Relu_10" in outcome.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_existing_files_are_left_alone(tmp_path, miniature):
    (tmp_path / "linear_2-10-1_esp.h5").write_text("mine")
    outcome = run(miniature.folder, tmp_path)
    assert outcome.returncode == 2
    assert "expected to write a new file, found" in outcome.stderr and len(outcome.stderr.splitlines()) == 1
    assert (tmp_path / "linear_2-10-1_esp.h5").read_text() == "mine"
    assert len(list(tmp_path.glob("*.h5"))) == 4 and not list(tmp_path.glob("*.partial"))


def test_a_folder_without_runs(tmp_path):
    outcome = run(tmp_path, tmp_path / "out")
    assert outcome.returncode == 2 and "found none" in outcome.stderr and not (tmp_path / "out").exists()
