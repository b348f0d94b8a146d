"""hessian-eigenthings: the largest eigenvalues by Lanczos or by power iteration; with its defaults."""

import numpy as np
import torch
from hessian_eigenthings import HessianOperator, deflated_power_iteration, lanczos, supervised_loss
from torch.nn import BCEWithLogitsLoss

from .torch_module import module
from .work_torch import tensors


def versions():
    from importlib.metadata import version
    return {"hessian-eigenthings": version("hessian-eigenthings"), "torch": torch.__version__}


def prepare(work, problem, threads, method=""):
    if work != "top":
        raise NotImplementedError(work)
    torch.set_num_threads(threads)
    theta, x, y = tensors(problem)
    net = module(problem.network, theta[0])
    operator = HessianOperator(net, [(x, y)], supervised_loss(BCEWithLogitsLoss()))
    solve = {"lanczos": lambda: lanczos(operator, k=10, seed=0), "power": lambda: deflated_power_iteration(operator, k=1)}[method]
    return (lambda: float(solve().eigenvalues.max())), lambda value: {"top": np.array(value)}
