"""Tests experiments/studies/import-recorded-runs on a miniature of the authors' repository, on hostile
pickles and, where available, on the recorded runs."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

SOURCE = Path(__file__).resolve().parents[3]
SCRIPT = SOURCE / "experiments/studies/import-recorded-runs"
PROGRAM = os.environ.get("ESPECTRA_PROGRAM", "")
RECORDED = Path(os.environ.get("ESPECTRA_RECORDED_RUNS", SOURCE.parent / "shared/oracle"))
EPOCHS = [0, *range(11, 200, 10), *range(211, 1000, 50)]  # epochs that a training of 1000 updates records


def importer():
    loader = importlib.machinery.SourceFileLoader("import_recorded_runs", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


IMPORTER = importer()


def run(repository, output):
    return subprocess.run([sys.executable, SCRIPT, repository, output], capture_output=True, text=True)


def run_here(repository, output):
    """Runs the same in this process, which is faster; returns exit status, lines of stdout and lines of
    stderr."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as left:
        IMPORTER.main([str(repository), str(output)])
    return left.value.code, out.getvalue().splitlines(), errors.getvalue().splitlines()


# --- a training in NumPy


class Training:
    """Full-batch Adam as in the authors' code, with the same records. The gradient accepts complex θ, so that
    a complex step gives the Hessian to rounding."""

    def __init__(self, widths, activation, seed):
        self.widths, self.activation = widths, activation
        self.random = np.random.default_rng(seed)
        self.shapes = []
        for k, n in zip(widths, widths[1:]):
            self.shapes += [(n, k), (n, 1)] + ([(n, 1)] if activation == "esp" else [])

    def start(self):
        theta = [self.random.uniform(-1, 1, shape) if shape[1] > 1 or i == 0 else 0.01 * self.random.normal(size=shape)
                 for i, shape in enumerate(self.shapes)]
        return np.concatenate([part.ravel() for part in theta])

    def parts(self, theta):
        position, parts = 0, []
        for shape in self.shapes:
            size = shape[0] * shape[1]
            parts.append(theta[position:position + size].reshape(shape))
            position += size
        return parts

    def gradient(self, theta, x, y):
        """Returns cost, gradient and residual for x (n_0, m) and y (C, m)."""
        parts, per = self.parts(theta), len(self.shapes) // (len(self.widths) - 1)
        layers = [parts[i:i + per] for i in range(0, len(parts), per)]
        a, memory = x, []
        for l, layer in enumerate(layers):
            beta = layer[2] if per == 3 else 1.0
            h = layer[0] @ a + layer[1]
            s = 1 / (1 + np.exp(-beta * h))
            memory.append((a, h, s))
            if l + 1 == len(layers):
                z, p = beta * h, s
            elif self.activation == "relu":
                a = np.where(h.real > 0, h, 0)
            else:
                a = h * s if self.activation == "esp" else s
        cost = np.mean(np.log(1 + np.exp(z)) - z * y)
        dz, flat = (p - y) / y.size, []
        for l in reversed(range(len(layers))):
            layer, (a, h, s) = layers[l], memory[l]
            beta = layer[2] if per == 3 else 1.0
            if l + 1 == len(layers):
                dh, dbeta = dz * beta, (dz * h).sum(axis=1, keepdims=True)
            elif self.activation == "esp":
                dh, dbeta = da * (s + beta * h * s * (1 - s)), (da * h * h * s * (1 - s)).sum(axis=1, keepdims=True)
            else:
                dh = da * (np.where(h.real > 0, 1, 0) if self.activation == "relu" else s * (1 - s))
            da = layer[0].T @ dh
            own = [(dh @ a.T).ravel(), dh.sum(axis=1)] + ([dbeta.ravel()] if per == 3 else [])
            flat = own + flat
        return cost, np.concatenate(flat), p - y

    def hessian(self, theta, x, y):
        P, step = len(theta), 1e-30
        return np.array([self.gradient(theta + 1j * step * row, x, y)[1].imag / step for row in np.eye(P)])

    def record(self, x, y, x_test, y_test, epochs, updates, spectra=True):
        """Trains, and returns the contents of the authors' files and θ before the first update."""
        theta = first = self.start()
        m = v = np.zeros_like(theta)
        names = ("cost", "train", "test", "hessians", "eigen", "index", "zeros", "residual", "pairs")
        kept = {name: [] for name in names}
        right = lambda t, x, y: np.float32(  # noqa: E731
            np.mean((self.gradient(t, x, y)[2] + y > 0.5) == (y == 1)))
        for t in range(updates):
            cost, g, _ = self.gradient(theta, x, y)
            before = theta
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            rate = 0.01 * 0.9 ** (t / 500) * np.sqrt(1 - 0.999 ** (t + 1)) / (1 - 0.9 ** (t + 1))
            theta = theta - rate * m / (np.sqrt(v) + 1e-8)
            if t not in epochs:
                continue
            kept["cost"].append(np.float32(cost))
            kept["train"].append(right(before, x, y))
            kept["test"].append(right(theta, x_test, y_test))
            kept["pairs"].append(list(zip(self.parts(g), self.parts(theta))))
            if spectra:
                h = self.hessian(theta, x, y)
                kept["hessians"].append(h)
                kept["eigen"].append(np.linalg.eigvals(h))
                kept["residual"].append(self.gradient(theta, x, y)[2])
            else:
                kept["eigen"].append(self.random.normal(size=len(theta)))
            kept["index"].append(np.mean(kept["eigen"][-1].real < 0))
            kept["zeros"].append(np.mean(kept["eigen"][-1] == 0))
        return kept, first


# --- the authors' files


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 does, where both are str."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self, value):
        data = value.encode("latin1")
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data if len(data) < 256 else
                   pickle.BINSTRING + struct.pack("<i", len(data)) + data)

    dispatch[str] = save_str
    dispatch[bytes] = lambda self, value: self.save_str(value.decode("latin1"))


def object_array(pairs):
    values = np.empty((len(pairs), len(pairs[0]), 2), object)
    for e, snapshot in enumerate(pairs):
        for v, pair in enumerate(snapshot):
            values[e, v, 0], values[e, v, 1] = np.array(pair[0]), np.array(pair[1])
    return values


def write_object_array(path, values, style="python 3"):
    """Writes a .npy file of objects as this NumPy does, or as NumPy of Python 2 did (protocol 2, text as
    bytes, 36L in the header)."""
    if style == "python 3":
        np.save(path, values, allow_pickle=True)
        return
    content = io.BytesIO()
    Python2Pickler(content, 2).dump(values)
    shape = ", ".join(f"{n}L" for n in values.shape)
    write_npy(path, f"{{'descr': '|O', 'fortran_order': False, 'shape': ({shape}), }}",
              content.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))


def write_npy(path, header, content):
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content)


def write_run(folder, suffix, kept, style="python 3", spectra=True):
    folder.mkdir(parents=True)
    save = lambda name, values: np.save(folder / f"{name}_{suffix}.npy", np.array(values))  # noqa: E731
    for name in ("cost", "index", "zeros", "eigen"):
        save(name, kept[name])
    save("accuracy", [kept["train"], kept["test"]])
    if spectra:
        save("hessians", kept["hessians"])
        save("residual", kept["residual"])
    write_object_array(folder / f"grads_and_vars_{suffix}.npy", object_array(kept["pairs"]), style)


class Miniature:
    """A repository of four runs of the linear task, with the true initial θ of each."""

    def __init__(self, folder):
        self.folder = folder
        random = np.random.default_rng(3)
        self.x = random.uniform(0, 4, (51, 2))
        self.y = (self.x[:, :1] + self.x[:, 1:] > 4.2).astype(float)
        (folder / "TF").mkdir(parents=True)
        scipy.io.savemat(folder / "TF/Lindata.mat", {"X": self.x, "y": self.y.astype(np.uint8)})
        # train_test_split(test_size=0.25, random_state=5) of 51 examples, independent of the script
        order = np.random.RandomState(5).permutation(51)
        self.test, self.train = order[:13], order[13:]
        self.first, self.kept = {}, {}
        for place, widths, activation, style in (("10_Lin/ftmp_10", [2, 10, 1], "esp", "python 2"),
                                                 ("10_Lin/Relu_10", [2, 10, 1], "relu", "python 3"),
                                                 ("10_Lin/run_3", [2, 10, 1], "sigmoid", "python 2"),
                                                 ("82_Lin/Ftmp_82", [2, 8, 2, 1], "esp", "python 3")):
            training = Training(widths, activation, 7)
            data = [part[index].T for index in (self.train, self.test) for part in (self.x, self.y)]
            kept, first = training.record(*data, EPOCHS, 1000)
            name = f"linear_{'-'.join(map(str, widths))}_{activation}"
            self.first[name], self.kept[name] = first, kept
            write_run(folder / "TF/Artificial_class" / place, place.split("/")[1].lower().replace("_", ""), kept, style)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return Miniature(tmp_path_factory.mktemp("authors") / "repository")


@pytest.fixture(scope="module")
def imported(miniature):
    output = miniature.folder.parent / "imported"
    return run(miniature.folder, output), output


# --- results of the import


def test_the_gradient_of_the_tests_is_right():
    """Compares the gradient, on which these tests rely, with differences of the cost."""
    random = np.random.default_rng(0)
    for activation in ("esp", "relu", "sigmoid"):
        training = Training([2, 4, 3, 2], activation, 1)
        theta, x, y = training.start() + 0.3, random.normal(size=(2, 9)), random.integers(0, 2, (2, 9))
        gradient = training.gradient(theta, x, y)[1]
        costs = [(training.gradient(theta + s, x, y)[0] - training.gradient(theta - s, x, y)[0]) / 2e-6 for s in 1e-6 * np.eye(len(theta))]
        assert np.allclose(gradient, costs, rtol=0, atol=1e-9)


def test_all_runs_are_written(miniature, imported):
    outcome, output = imported
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert sorted(path.stem for path in output.iterdir()) == sorted(miniature.first)
    assert len(outcome.stdout.splitlines()) == 4
    assert "ftmp_10 -> linear_2-10-1_esp.h5: 36 snapshots of 52 parameters; residuals within" in outcome.stdout


def test_records_are_those_of_the_training(miniature, imported):
    for name, kept in miniature.kept.items():
        with h5py.File(imported[1] / f"{name}.h5") as f:
            assert f["epoch"][:].tolist() == EPOCHS
            gradient = np.array([np.concatenate([g.ravel() for g, _ in pairs]) for pairs in kept["pairs"]])
            theta = np.array([np.concatenate([value.ravel() for _, value in pairs]) for pairs in kept["pairs"]])
            eigen = np.array([np.sort(values.real) for values in kept["eigen"]])
            for dataset, values in (("theta", theta), ("gradient", gradient), ("eigenvalues", eigen), ("cost", kept["cost"]),
                                    ("alpha", kept["index"]), ("gamma", kept["zeros"]), ("accuracy_train", kept["train"]),
                                    ("accuracy_test", kept["test"]), ("hessian", kept["hessians"]), ("residual", kept["residual"])):
                assert f[dataset].dtype == float
                assert np.array_equal(f[dataset][:], values), f"{name} {dataset}"


def test_initial_theta_is_that_of_the_training(miniature, imported):
    """Allows two spacings of the largest θ: θ₁ is rounded, and undoing the step of up to 0.01 takes a few
    roundings of its own size."""
    for name, first in miniature.first.items():
        with h5py.File(imported[1] / f"{name}.h5") as f:
            assert np.abs(f["theta_initial"][:] - first).max() <= 2 * np.spacing(np.abs(first).max())
    first_gradients = [gradient for gradient, _ in miniature.kept["linear_2-10-1_relu"]["pairs"][0]]
    assert any((gradient == 0).any() for gradient in first_gradients)  # covers zero gradients


def test_split(miniature, imported):
    with h5py.File(imported[1] / "linear_2-10-1_esp.h5") as f:
        assert np.array_equal(f["data/X_train"][:], miniature.x[miniature.train])
        assert np.array_equal(f["data/X_test"][:], miniature.x[miniature.test])
        assert np.array_equal(f["data/Y_train"][:], miniature.y[miniature.train])
        assert f["data/X_test"].shape == (13, 2)  # ⌈51 / 4⌉


def test_split_by_hand():
    """RandomState(0).permutation(5) is 2 0 1 3 4; the first ⌈0.2 · 5⌉ are the test examples."""
    x = np.arange(5)[:, None]
    train, test, *_ = IMPORTER.split(x, x, 0.2, 0)
    assert (test.ravel().tolist(), train.ravel().tolist()) == ([2], [0, 1, 3, 4])


def test_digits_have_the_authors_targets():
    x_train, x_test, y_train, y_test = IMPORTER.digits_data()
    assert (x_train.shape, x_test.shape, y_train.shape) == ((1437, 64), (360, 64), (1437, 10))
    assert x_train.max() == 16 / 255
    empty = (np.concatenate([y_train, y_test]).sum(axis=1) == 0).sum()
    assert empty == 178  # the images of the digit 0, 178 of 1797
    assert np.concatenate([y_train, y_test])[:, 9].sum() == 0  # no image is of class 10


@pytest.mark.skipif(not PROGRAM, reason="ESPECTRA_PROGRAM is not set")
def test_replay(miniature, imported):
    for name in miniature.first:
        out = subprocess.run([PROGRAM, "replay", imported[1] / f"{name}.h5", "--json"], check=True, capture_output=True, text=True).stdout
        report = json.loads(out)
        assert report["hessian_relative_error_max"] <= 1e-8
        assert report["residual_error_max"] <= 1e-12
        assert report["eigenvalue_error_max"] <= 1e-8
        assert report["gamma_dead_mismatches"] == 0
        assert report["theta_error_max"] <= 1e-3


# --- refused input


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


GRADIENTS = "grads_and_vars_ftmp10.npy"


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


def test_bytes_that_python_3_pickles_with_protocol_2(tmp_path):
    values = np.arange(24.0).reshape(1, 2, 2, 6) / 7
    objects = object_array(values)
    write_npy(tmp_path / GRADIENTS, "{'descr': '|O', 'fortran_order': False, 'shape': (1, 2, 2), }", pickle.dumps(objects, protocol=2))
    assert b"_codecs" in (tmp_path / GRADIENTS).read_bytes()
    assert np.array_equal(IMPORTER.gradients_and_variables(tmp_path / GRADIENTS, 1), values)


def test_arrays_of_the_raw_tests_are_those_of_numpy():
    """NumPy itself reads a pickle of the above opcodes, so the refusals are not due to a wrong test."""
    value = pickle.loads(b"\x80\x02" + array_pickle([2], b"f8", b"U\x10" + struct.pack("<dd", 1.5, -2)) + b".", encoding="latin1")
    assert value.tolist() == [1.5, -2.0]


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


# --- the authors' own runs


def recorded_files():
    found = sorted(RECORDED.glob("*.h5")) if RECORDED.is_dir() else []
    if not found:
        reason = f"{RECORDED}: no recorded runs; ESPECTRA_RECORDED_RUNS names their folder"
        if os.environ.get("ESPECTRA_REQUIRE_RECORDED_RUNS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def authors_layout(repository, paths):
    """Writes the authors' repository as far as its recorded runs determine it."""
    (repository / "TF").mkdir(parents=True)
    random = np.random.default_rng(0)
    for path in paths:
        task, widths, activation = path.stem.split("_")
        with h5py.File(path) as f:
            name = {"linear": "Lin", "nonlinear": "NL"}.get(task)
            hidden = widths.split("-")[1:-1]
            place = f"TF/Artificial_class/{''.join(hidden)}_{name}" if name else "TF/mnist"
            folder = repository / place / f"{activation}_{''.join(hidden)}"
            layers = list(zip(f.attrs["widths"], f.attrs["widths"][1:]))
            shapes = [shape for k, n in layers for shape in ((n, k), (n, 1), (n, 1))[:2 + f.attrs["trainable_beta"]]]
            ends = np.cumsum([n * k for n, k in shapes])
            cut = lambda flat: [  # noqa: E731
                part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes)]
            kept = {"cost": f["cost"][:].astype(np.float32), "index": f["alpha"][:], "zeros": f["gamma"][:],
                    "eigen": random.permuted(f["eigenvalues"][:], axis=1) + (0j if activation == "esp" else 0),
                    "train": f["accuracy_train"][:].astype(np.float32), "test": f["accuracy_test"][:].astype(np.float32),
                    "pairs": [list(zip(cut(g), cut(t))) for g, t in zip(f["gradient"][:], f["theta"][:])]}
            if name:
                kept |= {"hessians": f["hessian"][:], "residual": f["residual"][:]}
                fraction, seed = (0.25, 5) if task == "linear" else (0.2, 0)
                n = len(f["data/X_train"]) + len(f["data/X_test"])
                order = np.random.RandomState(seed).permutation(n)
                x, y = np.empty((n, 2)), np.empty((n, 1))
                x[order] = np.concatenate([f["data/X_test"], f["data/X_train"]])
                y[order] = np.concatenate([f["data/Y_test"], f["data/Y_train"]])
                scipy.io.savemat(repository / f"TF/{name}data.mat", {"X": x, "y": y})
                assert np.ceil(fraction * n) == len(f["data/X_test"])
            write_run(folder, f"{activation}{''.join(hidden)}", kept, spectra=bool(name))


def test_recorded_runs_come_back(tmp_path):
    paths = recorded_files()
    authors_layout(tmp_path / "repository", paths)
    outcome = run(tmp_path / "repository", tmp_path / "out")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == len(paths)
    for path in paths:
        with h5py.File(path) as wanted, h5py.File(tmp_path / "out" / path.name) as found:
            names = {}
            for file, key in ((wanted, 0), (found, 1)):
                file.visititems(lambda name, item, key=key: names.setdefault(key, {}).update({name: item}))
            assert set(names[0]) == set(names[1])
            for name, item in names[0].items():
                if not isinstance(item, h5py.Dataset):
                    continue
                assert (item.shape, item.dtype) == (found[name].shape, found[name].dtype), f"{path.name} {name}"
                if name == "theta_initial":
                    assert np.abs(found[name][:] - item[:]).max() <= 2 * np.spacing(np.abs(item[:]).max())
                else:
                    assert np.array_equal(found[name][:], item[:]), f"{path.name} {name}"
            assert set(wanted.attrs) == set(found.attrs)
            for name in wanted.attrs:
                assert np.array_equal(wanted.attrs[name], found.attrs[name])
                assert wanted.attrs.get_id(name).dtype == found.attrs.get_id(name).dtype
