"""Definitions of the measurements: groups of programs that do the same work."""

import dataclasses
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from .measure import GIB, Limits, Program
from .problem import Network, Problem, random_theta

ESPECTRA = Program("espectra", "Espectra", "espectra")
ON_A_DEVICE = ("jax", "torch", "curvlinops", "pyhessian", "eigenthings")  # modules whose programs can use a GPU

JAX = Program("jax", "JAX, jit(hessian)", "jax")
JAX_CHUNKED = Program("jax-chunked", "JAX, jit, 64 columns at a time", "jax", "chunked")
TORCH = Program("torch-func", "PyTorch, torch.func.hessian", "torch")
TORCH_CHUNKED = Program("torch-func-chunked", "PyTorch, torch.func, 64 columns at a time", "torch", "chunked")
TORCH_ROWS = Program("torch-rows", "PyTorch, double backward, row by row", "torch", "rows")
CURVLINOPS = Program("curvlinops", "curvlinops, operator × identity", "curvlinops")
CURVLINOPS_CHUNKED = Program("curvlinops-chunked", "curvlinops, 64 columns at a time", "curvlinops", "chunked")
TENSORFLOW = Program("tensorflow", "TensorFlow 1 graph, a gradient node per row", "tensorflow")
TENSORFLOW_LOOP = Program("tensorflow-loop", "TensorFlow 1 graph, tf.hessians", "tensorflow", "loop")

HESSIANS = (JAX, JAX_CHUNKED, TORCH, TORCH_CHUNKED, TORCH_ROWS, CURVLINOPS, CURVLINOPS_CHUNKED, TENSORFLOW_LOOP, TENSORFLOW)
BOUNDED = (JAX, JAX_CHUNKED, TORCH, TORCH_CHUNKED, TORCH_ROWS, CURVLINOPS_CHUNKED)

LARGEST = (
    Program("pyhessian-top", "PyHessian, power iteration", "pyhessian", "", "largest eigenvalue"),
    Program("pyhessian-density", "PyHessian, 100 Lanczos steps", "pyhessian", "density", "estimated density"),
    Program("eigenthings-lanczos", "hessian-eigenthings, Lanczos", "eigenthings", "lanczos", "10 largest eigenvalues"),
    Program("eigenthings-power", "hessian-eigenthings, power iteration", "eigenthings", "power", "largest eigenvalue"))

SPECTRA = (
    Program("jax", "JAX, jit(vmap(hessian)) and eigvalsh, 100 networks at a time", "jax"),
    Program("jax-alone", "JAX, jit, one network at a time, and eigvalsh", "jax", "alone"),
    Program("jax-numpy", "JAX, jit, one network at a time; NumPy's eigvalsh", "jax", "numpy"),
    Program("torch", "PyTorch, vmap(hessian) and eigvalsh, 100 networks at a time", "torch"))

TRAINING = (
    Program("jax", "JAX, jit, vmap, fori_loop", "jax"),
    Program("jax-chunked", "JAX, jit, vmap of 16 networks at a time", "jax", "chunked"),
    Program("torch", "PyTorch, vmap(grad), 100 networks at a time", "torch"),
    Program("numpy", "NumPy, gradient by hand, 8 networks per thread", "numpy"))

RUNS = (
    Program("jax", "JAX, jit(hessian) and eigvalsh", "jax"),
    Program("jax-chunked", "JAX, 64 columns at a time, NumPy's eigvalsh", "jax", "chunked"),
    Program("torch-func", "PyTorch, torch.func, 64 columns at a time, eigvalsh", "torch", "chunked"))


@dataclasses.dataclass(frozen=True)
class Group:
    """Programs that solve the same problem. `scale` is the (axis, value) of a point of a scaling study."""

    case: str
    key: str
    title: str
    work: str  # hessian, spectra, top, training, run
    problem: Callable[[], Problem]
    programs: tuple[Program, ...]
    limits: Limits = Limits()
    threads: int = 2
    together: bool = True  # Espectra stays in memory while another program works
    scale: tuple[str, float] | None = None
    column: str = ""  # heading in a table of all groups of a case


class Inputs:
    """Data sets and networks as prepared by Espectra's own recipes."""

    def __init__(self, espectra: Path):
        self.espectra, self.known = espectra, {}

    def run(self, source):
        """Returns x (m, n_0), y (m, C) and the initial θ (P) of the default network of a data source."""
        if source not in self.known:
            with tempfile.TemporaryDirectory(prefix="espectra-peers-") as folder:
                recipe = Path(folder, "recipe.toml")
                recipe.write_text(f'[data]\nsource = "{source}"\n[train]\nepochs = 0\n')
                subprocess.run([self.espectra, "run", recipe, "--output", Path(folder, "out"), "--device", "cpu", "--json"],
                               check=True, capture_output=True)
                with h5py.File(Path(folder, "out", "results.h5")) as f:
                    network, = f.values()
                    self.known[source] = tuple(network[n][:] for n in ("data/X_train", "data/Y_train", "theta_initial"))
        return self.known[source]

    def networks(self, source, hidden, networks=1, epochs=0, examples=None):
        """Returns a function that makes networks with random θ. `examples` takes so many from the data set,
        which is repeated if it has fewer."""
        def problem():
            x, y, _ = self.run(source)
            rows = np.arange(examples or len(x)) % len(x)
            network = Network((x.shape[1], *hidden, y.shape[1]))
            return Problem(network, x[rows], y[rows], random_theta(network, networks, 1), epochs)
        return problem

    def digits_run(self, epochs):
        def problem():
            x, y, theta = self.run("digits")
            return Problem(Network((64, 25, 10)), x, y, theta, epochs)
        return problem

    def images(self, hidden, examples):
        """Returns a function that generates data of the shape of MNIST: 784 pixels, a fifth of them not 0,
        ten classes; β is not trained."""
        def problem():
            random = np.random.default_rng(2)
            x = random.random((examples, 784)) * (random.random((examples, 784)) < 0.19)
            y = np.eye(10)[random.integers(0, 10, examples)]
            network = Network((784, hidden, 10), "esp", trainable_beta=False)
            return Problem(network, x, y, random_theta(network, 1, 3))
        return problem


def groups(inputs, quick, threads, device="cpu"):
    """Returns all groups in the order of the tables; for "cuda" without the programs and axes that do not use
    the GPU."""
    few = Limits(seconds=120, total_seconds=20, repetitions=2, bytes=8 * GIB) if quick else Limits()
    found = []

    def add(case, key, title, work, problem, programs, limits=few, **more):
        more.setdefault("threads", threads)
        programs = [p for p in programs if device == "cpu" or p.module in ON_A_DEVICE]
        found.append(Group(case, key, title, work, problem, (ESPECTRA, *programs), limits, **more))

    hidden = 5 if quick else 25
    digits = f"digits 64-{hidden}-10, P = {76 * hidden + 20}, m = 1437"
    add("a", "a-digits", f"Exact Hessian, {digits}", "hessian", inputs.networks("digits", (hidden,)), HESSIANS,
        few if quick else Limits(seconds=300))
    if not quick:
        add("a", "a-small", "Exact Hessian, digits 64-5-10, P = 400, m = 1437: the most gradient nodes that TensorFlow can process", "hessian",
            inputs.networks("digits", (5,)), (JAX, TORCH_ROWS, TENSORFLOW_LOOP, TENSORFLOW))
    add("a", "a-top", f"Largest eigenvalues without the Hessian, {digits}; Espectra: all eigenvalues", "top",
        inputs.networks("digits", (hidden,)), LARGEST)

    large = Limits(seconds=180, prepare_seconds=60, total_seconds=60, bytes=18 * GIB)
    alone = dataclasses.replace(large, seconds=3600)
    if not quick:
        add("b", "b-784-10-10", "Exact Hessian, 784-10-10 (P = 7960), 1000 generated images", "hessian",
            inputs.images(10, 1000), BOUNDED, large, together=False, column="784-10-10, P = 7960, m = 1000")
        add("b", "b-784-50-10", "Exact Hessian, 784-50-10 (P = 39 760), 250 of the generated images", "hessian",
            inputs.images(50, 250), BOUNDED, large, together=False, column="784-50-10, P = 39 760, m = 250")
        add("b", "b-784-50-10-all", "Exact Hessian and all eigenvalues, 784-50-10 (P = 39 760), m = 60 000 generated images; "
            "Espectra alone", "spectra", inputs.images(50, 60_000), (), alone, together=False,
            column="with all eigenvalues, P = 39 760, m = 60 000")

    many = Limits(seconds=150, prepare_seconds=60, total_seconds=130)
    def how_many(networks):
        return f"{networks:,} network".replace(",", " ") + "s" * (networks > 1)

    for networks in (1, 100) if quick else (1, 100, 10_000):
        add("c", f"c-{networks}", f"Exact Hessian and all eigenvalues, {how_many(networks)} 2-10-1 (P = 52, m = 690)", "spectra",
            inputs.networks("nonlinear", (10,), networks), SPECTRA, few if quick else many, column=how_many(networks))
    for networks, epochs in ((1, 100), (100, 20)) if quick else ((1, 2300), (100, 2300), (10_000, 115)):
        add("d", f"d-{networks}", f"Training for {epochs} epochs, {how_many(networks)} 2-10-1 (m = 690)", "training",
            inputs.networks("nonlinear", (10,), networks, epochs), TRAINING, few if quick else many,
            column=f"{how_many(networks)}, {epochs} epochs")
    epochs = 20 if quick else 2000
    add("e", "e-digits", f"Digits 64-25-10: {epochs} epochs with all eigenvalues at "
        f"{3 if quick else 56} of them", "run", inputs.digits_run(epochs), RUNS,
        few if quick else Limits(seconds=900, total_seconds=200))

    once = dataclasses.replace(few, repetitions=min(3, few.repetitions), total_seconds=30, seconds=120)

    def scale(axis, value, work, problem, programs=(), **more):
        add("f", f"f-{axis}-{value}", f"{axis} = {value}", work, problem, programs, once, scale=(axis, value), **more)

    jax, jax_columns = SPECTRA[0], JAX_CHUNKED
    for hidden in (5, 10) if quick else (5, 10, 20, 40, 80):
        scale("P", 76 * hidden + 20, "hessian", inputs.networks("digits", (hidden,)), (jax_columns,) if hidden <= 20 else ())
    for hidden in (5, 10) if quick else (5, 10, 20, 40):
        scale("P with eigenvalues", 76 * hidden + 20, "spectra", inputs.networks("digits", (hidden,)))
    for m in (90, 180) if quick else (180, 360, 720, 1440, 2880, 5760):
        scale("m", m, "hessian", inputs.networks("digits", (25,), examples=m), (jax_columns,) if m <= 720 else ())
    for depth in (1, 2) if quick else (1, 2, 3, 4, 6):
        scale("hidden layers", depth, "hessian", inputs.networks("nonlinear", (10,) * depth), (JAX,))
    for networks in (1, 8) if quick else (1, 4, 16, 64, 256, 1024, 4096):
        scale("networks", networks, "spectra", inputs.networks("nonlinear", (10,), networks), (jax,) if networks <= 256 else ())
    count = 1
    while device == "cpu" and count <= threads:
        scale("threads, 64-25-10", count, "hessian", inputs.networks("digits", (25,)), threads=count)
        scale("threads, 256 networks 2-10-1", count, "spectra", inputs.networks("nonlinear", (10,), 256), threads=count)
        count *= 2
    return found
