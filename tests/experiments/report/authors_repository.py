"""A miniature of the authors' repository, with a training in NumPy that has the same records, and the import
of such a repository by experiments/studies/import-recorded-runs."""

import contextlib
import importlib.machinery
import importlib.util
import io
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
from conftest import SOURCE

SCRIPT = SOURCE / "experiments/studies/import-recorded-runs"
EPOCHS = [0, *range(11, 200, 10), *range(211, 1000, 50)]  # epochs that a training of 1000 updates records
GRADIENTS = "grads_and_vars_ftmp10.npy"


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
