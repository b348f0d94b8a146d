"""Made-up results of any shape, for tests of what a run of the program cannot provide in a second."""

import h5py
import numpy as np


def parameters_of(widths, activation):
    """Returns the number of parameters, with trained β in ESP layers and in the output of a network that has
    one."""
    layers = len(widths) - 1
    hidden = activation.split("-") if "-" in activation else [activation] * (layers - 1)
    beta = [name == "esp" for name in hidden] + ["esp" in hidden]
    return sum((n + 1) * k + k * b for n, k, b in zip(widths, widths[1:], beta))


def write_results(path, networks, state="complete", **attributes):
    """Writes a results.h5. `networks`: dictionaries with name, widths, activation and, if not the defaults,
    replicas, epochs, seed, spectra, vectors, recorded (number of snapshots that have a record) and
    statistics."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as f:
        f.attrs.update({"format": "espectra results 1", "title": "", "recipe": "# made up\n", "recipe_path": "made-up.toml",
                        "versions": "espectra test", "device": "CPU, 2 threads", "start": "2026-01-01T00:00:00Z",
                        "state": state.ljust(12), "wall_seconds": 1.0} | attributes)
        for network in networks:
            write_network(f, **network)
    return path


def write_network(f, name, widths, activation, replicas=1, epochs=(0, 10, 20), seed=1, spectra=True, vectors=False, recorded=None,
                  statistics=False):
    random = np.random.default_rng(seed)
    beta = "esp" in activation
    R, E, P = replicas, len(epochs), parameters_of(widths, activation)
    recorded = E if recorded is None else recorded
    g = f.create_group(name)
    g.attrs.update({"widths": list(widths), "hidden_activation": activation, "trainable_beta": int(beta), "fixed_beta": 1.0,
                    "loss": "sigmoid_cross_entropy", "optimizer": "adam", "learning_rate": 0.01, "decay_rate": 0.9,
                    "decay_steps": 500.0, "adam": [0.9, 0.999, 1e-8], "epochs_total": int(epochs[-1]), "seed": seed, "data_seed": 0,
                    "data_source": name.split("_")[0], "classes": 2})
    g["epoch"] = np.asarray(epochs, np.int64)
    g["theta_initial"] = random.normal(size=(R, P))

    def record(name, values):
        values = np.array(values, float)
        values[:, recorded:] = np.nan
        g[name] = values

    time = np.arange(E) / max(E - 1, 1)
    noise = random.uniform(0.8, 1.2, (R, E))
    record("theta", random.normal(size=(R, E, P)))
    record("cost", 0.7 * np.exp(-4 * time) * noise)
    record("gradient_norm", 0.3 * np.exp(-3 * time) * noise)
    record("accuracy_train", np.clip((0.5 + 0.5 * time) * noise, 0, 1))
    record("accuracy_test", np.clip((0.5 + 0.45 * time) * noise, 0, 1))
    record("zero_residuals", np.clip(0.8 * time * noise, 0, 1))
    magnitudes = 10.0 ** random.uniform(-9, 0, (R, E, P))
    eigenvalues = np.sort(np.where(random.uniform(size=(R, E, P)) < 0.3, -magnitudes, magnitudes), axis=-1)
    if activation == "relu":
        eigenvalues[..., :] = np.sort(np.where(random.uniform(size=(R, E, P)) < 0.4, 0.0, eigenvalues), axis=-1)
    if spectra:
        record("eigenvalues", eigenvalues)
    record("alpha", (eigenvalues < -1e-12).mean(axis=-1))
    record("gamma", (np.abs(eigenvalues) <= 1e-12).mean(axis=-1))
    record("gamma_dead", 0.8 * (np.abs(eigenvalues) <= 1e-12).mean(axis=-1))
    for part in ("gamma_dead_inputs", "gamma_dead_units", "gamma_symmetry", "gamma_numerical"):
        record(part, np.zeros((R, E)))
    record("tau", np.full((R, E), 1e-12))
    record("trace", eigenvalues.sum(axis=-1))
    record("frobenius", np.sqrt((eigenvalues**2).sum(axis=-1)))
    record("trace_error", np.full((R, E), 1e-15))
    record("symmetry_residual", np.full((R, E), 1e-15 if activation != "sigmoid" else np.nan))
    record("seconds_hessian", np.full((R, E), 1e-3))
    record("seconds_eigen", np.full((R, E), 1e-3))
    g["seconds_training"] = np.full(R, 0.1)
    if vectors:
        v = np.empty((R, E, P, P))
        for r in range(R):
            for e in range(E):
                v[r, e] = np.linalg.qr(random.normal(size=(P, P)))[0]
        record("eigenvectors", v)
        record("inverse_participation_ratio", (v**4).sum(axis=-1))
    if statistics and R > 1:
        s = g.create_group("statistics")
        for column in ("cost", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead"):
            values = g[column][()]
            q = np.quantile(values, [0.5, 0.25, 0.75], axis=0)
            s[column] = np.stack([q[0], q[1], q[2], 0.95 * q[0], 1.05 * q[0]], axis=1)
        s["failed"] = [0.0, 0.0, 0.2]
        s["untrained"] = [0.1, 0.0, 0.3]
    return g
