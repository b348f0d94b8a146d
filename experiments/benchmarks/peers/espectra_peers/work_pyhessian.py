"""PyHessian: the largest eigenvalue by power iteration, or a density estimated by Lanczos; with its defaults."""

import numpy as np
import torch
from pyhessian import hessian
from torch.nn import BCEWithLogitsLoss

from .torch_module import module
from .work_torch import DEVICE, tensors


def versions():
    from importlib.metadata import version
    return {"pyhessian": version("pyhessian"), "torch": torch.__version__}


def prepare(work, problem, threads, method=""):
    if work != "top":
        raise NotImplementedError(work)
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float64)  # type of the random vectors that PyHessian draws
    theta, x, y = tensors(problem)
    net = module(problem.network, theta[0])

    def call():
        operator = hessian(net, BCEWithLogitsLoss(), data=(x, y), cuda=DEVICE == "cuda")
        return max(operator.density()[0][0]) if method == "density" else operator.eigenvalues(top_n=1)[0][0]

    return call, lambda value: {"top": np.array(value)}
