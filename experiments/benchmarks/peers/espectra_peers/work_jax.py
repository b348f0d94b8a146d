"""JAX: jit of hessian, of vmap over networks, and of a loop over the epochs; compiled before the first call."""

import jax
import jax.numpy as jnp
import numpy as np

from .problem import BETA1, BETA2, EARLY_EPOCHS, EPSILON, MOST_NETWORKS, compared_rows, learning_rate
from .snapshots import run_results

jax.config.update("jax_enable_x64", True)

TANGENTS = 64  # Hessian-vector products at a time, if not all are computed at once


def versions():
    import jaxlib
    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}


def cost_of(network):
    layers = network.layers()

    def cost(theta, x, y):
        a = x
        for layer in layers:
            h = a @ theta[layer.weights].reshape(layer.units, layer.inputs).T + theta[layer.bias]
            beta = theta[layer.beta] if layer.beta else 1.0
            a = {"esp": lambda: h * jax.nn.sigmoid(beta * h), "sigmoid": lambda: jax.nn.sigmoid(h),
                 "relu": lambda: jax.nn.relu(h), "linear": lambda: beta * h}[layer.activation]()
        return jnp.mean(jax.nn.softplus(a) - y * a)

    return cost


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


def chunked_hessian(cost):
    """Returns a Hessian function that computes TANGENTS columns at a time, with bounded memory."""
    def hessian(theta, x, y):
        gradient = jax.grad(cost)
        column = lambda v: jax.jvp(lambda t: gradient(t, x, y), (theta,), (v,))[1]
        return jax.lax.map(lambda i: column(jnp.zeros_like(theta).at[i].set(1.0)), jnp.arange(theta.size),
                           batch_size=TANGENTS)
    return hessian


def advance(cost):
    """Returns a function for the updates t = begin … end − 1 of one network, with the rates (all epochs,)."""
    gradient = jax.grad(cost)

    def updates(state, begin, end, rates, x, y):
        def update(t, state):
            theta, first, second = state
            g = gradient(theta, x, y)
            first = first + (1 - BETA1) * (g - first)
            second = second + (1 - BETA2) * (g * g - second)
            return theta - rates[t] * first / (jnp.sqrt(second) + EPSILON), first, second
        return jax.lax.fori_loop(begin, end, update, state)

    return updates


def at_rest(theta):
    return theta, jnp.zeros_like(theta), jnp.zeros_like(theta)


def prepare_hessian(problem, method):
    cost = cost_of(problem.network)
    theta, x, y = jnp.asarray(problem.theta), jnp.asarray(problem.x), jnp.asarray(problem.y)
    hessian = chunked_hessian(cost) if method == "chunked" else jax.hessian(cost)
    if problem.networks == 1:
        one = compiled(hessian, theta[0], x, y)
        call = lambda: one(theta[0], x, y)[None]
    else:
        many = compiled(jax.vmap(hessian, (0, None, None)), theta, x, y)
        call = lambda: many(theta, x, y)
    rows = compared_rows(problem.network.parameters)
    return (lambda: call().block_until_ready()), lambda h: {"hessian": np.asarray(h[:MOST_NETWORKS][:, rows])}


def prepare_spectra(problem, method, chunk=100):
    """`method`: "" is vmap over a chunk of networks; "alone" computes them in turn in one compiled loop; "numpy"
    does the same with NumPy's eigenvalues."""
    cost = cost_of(problem.network)
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
    parts = [jnp.asarray(problem.theta[i:i + chunk]) for i in range(0, problem.networks, chunk)]

    def hessians(theta, x, y):
        one = lambda t: jax.hessian(cost)(t, x, y)
        return jax.lax.map(one, theta) if method else jax.vmap(one)(theta)

    solve = hessians if method == "numpy" else lambda *a: jnp.linalg.eigvalsh(hessians(*a))
    functions = {}
    for p in parts:
        if len(p) not in functions:
            functions[len(p)] = compiled(solve, p, x, y)

    def call():
        values = (functions[len(p)](p, x, y).block_until_ready() for p in parts)
        if method == "numpy":
            values = (np.linalg.eigvalsh(np.asarray(h)) for h in values)
        return list(values)

    return call, lambda values: {"eigenvalues": np.concatenate([np.asarray(v) for v in values])}


def prepare_training(problem, method):
    """`method`: "" trains all networks in one vmap, "chunked" trains chunks of 16 in turn."""
    cost = cost_of(problem.network)
    theta, x, y = jnp.asarray(problem.theta), jnp.asarray(problem.x), jnp.asarray(problem.y)
    rates = jnp.asarray([learning_rate(t) for t in range(max(problem.epochs, EARLY_EPOCHS))])
    one = advance(cost)

    def alone(theta, end):
        return one(at_rest(theta), 0, end, rates, x, y)[0]

    def trained(theta, end):
        if theta.shape[0] == 1:
            done = alone(theta[0], end)[None]
        elif method == "chunked":
            done = jax.lax.map(lambda t: alone(t, end), theta, batch_size=16)
        else:
            done = jax.vmap(alone, (0, None))(theta, end)  # one loop, all networks in each of its steps
        return done, jax.vmap(cost, (0, None, None))(done, x, y)

    run = compiled(trained, theta, 0)
    early = theta[:MOST_NETWORKS]

    def results(value):
        return {"theta": np.asarray(value[0]), "cost": np.asarray(value[1]),
                "early_theta": np.asarray(jax.jit(trained)(early, EARLY_EPOCHS)[0])}

    return (lambda: jax.block_until_ready(run(theta, problem.epochs))), results


def prepare_run(problem, method):
    """Training with a spectrum at each snapshot. `method`: "" uses JAX's eigenvalues, "chunked" NumPy's."""
    cost = cost_of(problem.network)
    theta, x, y = jnp.asarray(problem.theta[0]), jnp.asarray(problem.x), jnp.asarray(problem.y)
    rates = jnp.asarray([learning_rate(t) for t in range(max(problem.epochs, 1))])
    training = compiled(advance(cost), at_rest(theta), 0, 1, rates, x, y)
    hessian = compiled(chunked_hessian(cost) if method == "chunked" else jax.hessian(cost), theta, x, y)
    matrix = jax.ShapeDtypeStruct((theta.size, theta.size), theta.dtype)
    own = None if method else compiled(jnp.linalg.eigvalsh, matrix)
    spectrum = (lambda h: np.linalg.eigvalsh(np.asarray(h))) if method else lambda h: np.asarray(own(h))
    value = compiled(cost, theta, x, y)
    return run_results(problem, at_rest(theta), lambda state, begin, end: training(state, begin, end, rates, x, y),
                       lambda state: (np.asarray(state[0]), float(value(state[0], x, y)),
                                      spectrum(hessian(state[0], x, y))))


def prepare(work, problem, threads, method=""):
    return {"hessian": prepare_hessian, "spectra": prepare_spectra, "training": prepare_training,
            "run": prepare_run}[work](problem, method)
