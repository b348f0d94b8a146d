"""PyTorch: torch.func, and rows by double backward, on one functional network."""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import grad, hessian, jvp, vmap

from .problem import BETA1, BETA2, EARLY_EPOCHS, EPSILON, MOST_NETWORKS, compared_rows, learning_rate
from .snapshots import run_results

TANGENTS = 64  # columns at a time, if not all are computed at once
DEVICE = os.environ.get("PEERS_DEVICE", "cpu")


def versions():
    return {"torch": torch.__version__}


def cost_of(network):
    layers = network.layers()

    def cost(theta, x, y):
        a = x
        for layer in layers:
            h = F.linear(a, theta[layer.weights].view(layer.units, layer.inputs), theta[layer.bias])
            beta = theta[layer.beta] if layer.beta else 1.0
            a = {"esp": lambda: h * torch.sigmoid(beta * h), "sigmoid": lambda: torch.sigmoid(h),
                 "relu": lambda: torch.relu(h), "linear": lambda: beta * h}[layer.activation]()
        return F.binary_cross_entropy_with_logits(a, y)

    return cost


def tensors(problem):
    return tuple(torch.from_numpy(np.ascontiguousarray(a)).to(DEVICE) for a in (problem.theta, problem.x, problem.y))


def array(tensor):
    return tensor.detach().cpu().numpy()


def finished(call):
    """Returns a function that calls `call` and waits until its work on the device has finished."""
    def until_done():
        value = call()
        torch.cuda.synchronize()
        return value
    return call if DEVICE == "cpu" else until_done


def hessian_by_rows(cost, theta, x, y):
    """Computes each row by one backward pass through the graph of the gradient, and stores it in one matrix."""
    theta = theta.detach().requires_grad_()
    g, = torch.autograd.grad(cost(theta, x, y), theta, create_graph=True)
    matrix = torch.empty(theta.numel(), theta.numel(), dtype=theta.dtype, device=DEVICE)
    for i in range(theta.numel()):
        matrix[i], = torch.autograd.grad(g[i], theta, retain_graph=True)
    return matrix


def hessian_by_columns(cost, theta, x, y):
    """Computes TANGENTS columns at a time, forward over reverse as in torch.func.hessian."""
    gradient = lambda t: grad(cost)(t, x, y)
    column = lambda v: jvp(gradient, (theta,), (v,))[1]
    return vmap(column, chunk_size=TANGENTS)(torch.eye(theta.numel(), dtype=theta.dtype, device=DEVICE))


def hessian_of(method, cost):
    if method == "rows":
        return lambda theta, x, y: hessian_by_rows(cost, theta, x, y)
    if method == "chunked":
        return lambda theta, x, y: hessian_by_columns(cost, theta, x, y)
    return hessian(cost)


def prepare_hessian(problem, method):
    theta, x, y = tensors(problem)
    one = hessian_of(method, cost_of(problem.network))
    rows = compared_rows(problem.network.parameters)
    if problem.networks == 1:
        call = lambda: one(theta[0], x, y)[None]
    else:
        call = lambda: vmap(one, (0, None, None))(theta, x, y)
    return call, lambda h: {"hessian": array(h[:MOST_NETWORKS][:, rows])}


def prepare_spectra(problem, method, chunk=100):
    theta, x, y = tensors(problem)
    many = vmap(hessian(cost_of(problem.network)), (0, None, None))
    return (lambda: [torch.linalg.eigvalsh(many(part, x, y)) for part in theta.split(chunk)],
            lambda values: {"eigenvalues": array(torch.cat(values))})


def adam(state, t, g):
    theta, first, second = state
    first.lerp_(g, 1 - BETA1)
    second.lerp_(g * g, 1 - BETA2)
    theta.addcdiv_(first, second.sqrt().add_(EPSILON), value=-float(learning_rate(t)))


def at_rest(theta):
    return theta.clone(), torch.zeros_like(theta), torch.zeros_like(theta)


def prepare_training(problem, method, chunk=100):
    theta, x, y = tensors(problem)
    cost = cost_of(problem.network)
    many_costs = vmap(cost, (0, None, None))
    gradients = vmap(grad(cost), (0, None, None))

    def trained(theta, epochs):
        parts = []
        for part in theta.split(chunk):
            state = at_rest(part)
            for t in range(epochs):
                adam(state, t, gradients(state[0], x, y))
            parts.append(state[0])
        return torch.cat(parts), torch.cat([many_costs(part, x, y) for part in parts])

    def results(value):
        return {"theta": array(value[0]), "cost": array(value[1]),
                "early_theta": array(trained(theta[:MOST_NETWORKS], EARLY_EPOCHS)[0])}

    return (lambda: trained(theta, problem.epochs)), results


def prepare_run(problem, method):
    theta, x, y = tensors(problem)
    cost = cost_of(problem.network)
    one = hessian_of(method, cost)

    def advance(state, begin, end):
        state = tuple(s.clone() for s in state)
        for t in range(begin, end):
            live = state[0].detach().requires_grad_()
            g, = torch.autograd.grad(cost(live, x, y), live)
            adam(state, t, g)
        return state

    def analyze(state):
        return (array(state[0]).copy(), float(cost(state[0], x, y)),
                array(torch.linalg.eigvalsh(one(state[0], x, y).detach())))

    return run_results(problem, at_rest(theta[0]), advance, analyze)


def prepare(work, problem, threads, method=""):
    torch.set_num_threads(threads)
    call, results = {"hessian": prepare_hessian, "spectra": prepare_spectra, "training": prepare_training,
                     "run": prepare_run}[work](problem, method)
    return finished(call), results
