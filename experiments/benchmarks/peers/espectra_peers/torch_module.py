"""The network as a torch.nn.Module, for libraries that require one; parameters in the order of θ."""

import torch
import torch.nn.functional as F
from torch import nn


class Dense(nn.Module):
    def __init__(self, layer, theta):
        super().__init__()
        self.activation = layer.activation
        self.weights = nn.Parameter(theta[layer.weights].clone().view(layer.units, layer.inputs))
        self.bias = nn.Parameter(theta[layer.bias].clone())
        self.beta = nn.Parameter(theta[layer.beta].clone()) if layer.beta else 1.0

    def forward(self, a):
        h = F.linear(a, self.weights, self.bias)
        if self.activation == "esp":
            return h * torch.sigmoid(self.beta * h)
        return {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": lambda h: self.beta * h}[self.activation](h)


def module(network, theta):
    return nn.Sequential(*(Dense(layer, theta) for layer in network.layers())).double()
