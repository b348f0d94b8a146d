"""Prints the numbers of tests/models/pytorch_training_test.cpp: θ after 201 updates of PyTorch's optimizers in float64.

A 2-2-1 network with tanh and the mean squared error of 7 examples, x_j = sin(1 + j + 2e), y = cos(3e); θ_p = sin(p + 1) in the order
W_1, b_1, W_2, b_2. Needs PyTorch; run once by hand.
"""

import math

import torch

EXAMPLES, BATCH, UPDATES, SEED = 7, 3, 201, 5
x = torch.tensor([[math.sin(1 + j + 2 * e) for j in range(2)] for e in range(EXAMPLES)], dtype=torch.float64)
y = torch.tensor([[math.cos(3 * e)] for e in range(EXAMPLES)], dtype=torch.float64)


def philox_bits(seed, stream, index):
    """64 bits of Philox 4x32-10 (Salmon et al., SC'11) for the counter (index, stream, 0) and the key seed."""
    mask = 0xFFFFFFFF
    c = [index & mask, index >> 32, stream, 0]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c[1] << 32 | c[0]


def order(epoch):
    return sorted(range(EXAMPLES), key=lambda e: philox_bits(SEED, 6, epoch * EXAMPLES + e))


def batches():
    while True:
        yield list(range(EXAMPLES))


def mini_batches():
    epoch = 0
    while True:
        shuffled = order(epoch)
        for begin in range(0, EXAMPLES, BATCH):
            yield shuffled[begin:begin + BATCH]
        epoch += 1


def train(name, make, weights_only=False, decay=0.0, schedule=None, draw=batches):
    values = [math.sin(p + 1) for p in range(9)]
    shapes = [(2, 2), (2,), (1, 2), (1,)]
    parameters, at = [], 0
    for shape in shapes:
        size = math.prod(shape)
        parameters.append(torch.tensor(values[at:at + size], dtype=torch.float64).reshape(shape).requires_grad_())
        at += size
    w1, b1, w2, b2 = parameters
    groups = [{"params": [w1, w2], "weight_decay": decay}, {"params": [b1, b2], "weight_decay": 0.0 if weights_only else decay}]
    optimizer = make(groups)
    scheduler = schedule(optimizer) if schedule else None
    source = draw()
    for _ in range(UPDATES):
        chosen = next(source)
        optimizer.zero_grad()
        z = torch.tanh(x[chosen] @ w1.T + b1) @ w2.T + b2
        ((z - y[chosen]) ** 2).mean().backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    theta = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    print(f"{name}: {', '.join(repr(float(value)) for value in theta)}")


def warm_cosine(optimizer, warmup=20):
    rates = torch.optim.lr_scheduler
    return rates.SequentialLR(optimizer, [rates.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1), rates.CosineAnnealingLR(optimizer, UPDATES - warmup)],
                              milestones=[warmup])


sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
print(torch.__version__)
train("sgd", lambda g: sgd(g, lr=0.2))
train("momentum", lambda g: sgd(g, lr=0.05, momentum=0.9))
train("nesterov", lambda g: sgd(g, lr=0.05, momentum=0.9, nesterov=True))
train("nesterov_l2_all", lambda g: sgd(g, lr=0.05, momentum=0.9, nesterov=True), decay=0.01)
train("adam_l2_weights", lambda g: adam(g, lr=0.02, eps=1e-30), weights_only=True, decay=0.01)
train("adamw_all", lambda g: adamw(g, lr=0.02, betas=(0.8, 0.99), eps=1e-2), decay=0.05)
train("adamw_weights_cosine", lambda g: adamw(g, lr=0.05), weights_only=True, decay=0.1, schedule=warm_cosine)
train("sgd_step", lambda g: sgd(g, lr=0.3), schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 30, 0.5))
train("momentum_batches", lambda g: sgd(g, lr=0.02, momentum=0.8), draw=mini_batches)
train("adamw_batches", lambda g: adamw(g, lr=0.02), decay=0.02, draw=mini_batches)
print("order of epochs 0, 1, 2:", [order(epoch) for epoch in range(3)])
