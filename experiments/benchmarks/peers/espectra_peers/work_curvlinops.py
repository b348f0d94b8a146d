"""curvlinops: the Hessian as a linear operator, times the identity."""

import torch
from curvlinops import HessianLinearOperator
from torch.nn import BCEWithLogitsLoss

from .problem import compared_rows
from .torch_module import module
from .work_torch import DEVICE, TANGENTS, array, finished, tensors


def versions():
    from importlib.metadata import version
    return {"curvlinops": version("curvlinops-for-pytorch"), "torch": torch.__version__}


def prepare(work, problem, threads, method=""):
    """`method`: "chunked" multiplies TANGENTS columns at a time."""
    torch.set_num_threads(threads)
    if work != "hessian" or problem.networks != 1:
        raise NotImplementedError(work)
    theta, x, y = tensors(problem)
    net = module(problem.network, theta[0])
    operator = HessianLinearOperator(net, BCEWithLogitsLoss(), list(net.parameters()), [(x, y)])
    p = problem.network.parameters
    rows = compared_rows(p)

    def call():
        identity = torch.eye(p, dtype=torch.float64, device=DEVICE)
        if not method:
            return operator @ identity
        return torch.cat([operator @ identity[:, i:i + TANGENTS] for i in range(0, p, TANGENTS)], 1)

    return finished(call), lambda h: {"hessian": array(h[rows][None])}
