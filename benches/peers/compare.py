#!/usr/bin/env python3
"""PyTorch's peers and fjld on the same job: forward, backward and the exact per-example C of one batch.

    python3 -m venv VENV && VENV/bin/pip install torch==2.7.1 numpy backpack-for-pytorch==1.7.1 opacus==1.6.0
    cargo build -p fjld-benches --example serve
    export MIMALLOC_PURGE_DELAY=-1
    VENV/bin/python benches/peers/compare.py [MODEL...] [--rounds N] [--json FILE] [--serve PROGRAM]

Everything on one thread. Methods take turns in every round, and a figure is the median over rounds of CPU time over that of the same
round. Models are those of `fjld_benches::models`, normalisations without scale and shift (BackPACK knows none); weights and data are
drawn anew by each side's own rules, so that C agrees between PyTorch's methods to rounding and is another number for fjld, whose
exactness its own tests hold. C = |mean g|^2 / Tr cov(g) - 1/n.
"""
import os

# an allocator that keeps its memory, as fjld's does; before torch is loaded
os.environ.update(
    OMP_NUM_THREADS="1",
    RAYON_NUM_THREADS="1",
    MALLOC_TRIM_THRESHOLD_=str(1 << 32),
    MALLOC_MMAP_THRESHOLD_=str(1 << 32),
    MALLOC_TOP_PAD_=str(1 << 26),
)
if "FJLD_PEERS" not in os.environ:
    # glibc reads these when a process starts
    os.environ["FJLD_PEERS"] = "1"
    import sys

    os.execv(sys.executable, [sys.executable] + sys.argv)

import argparse
import json
import statistics
import subprocess
import time
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]


# models ------------------------------------------------------------------------------------------------------------------------------


class PlainNorm(nn.Module):
    """Group normalisation in eight groups, or layer normalisation."""

    def __init__(self, groups=None):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        return F.group_norm(x, self.groups) if self.groups else F.layer_norm(x, x.shape[-1:])


class ResidualBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        conv = lambda i, size, step: nn.Conv2d(i, after, size, step, size // 2, bias=False)
        self.first, self.second = conv(before, 3, stride), conv(after, 3, 1)
        self.norms = nn.ModuleList([PlainNorm(8), PlainNorm(8)])
        self.around = conv(before, 1, stride) if before != after else nn.Identity()

    def forward(self, x):
        z = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(z)) + self.around(x))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([PlainNorm(), PlainNorm()])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        ahead = torch.full((t, t), -1e9).triu(1)
        return self.out(((scores + ahead).softmax(-1) @ v).transpose(1, 2).reshape(n, t, d))

    def forward(self, x):
        x = x + self.attend(self.norms[0](x))
        return x + self.narrow(F.gelu(self.wide(self.norms[1](x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, vocabulary=96, width=64, heads=4, context=64, blocks=2):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Attention(width, heads) for _ in range(blocks)])
        self.norm, self.head = PlainNorm(), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1]).expand_as(tokens).contiguous()
        return self.head(self.norm(self.blocks(self.words(tokens) + self.places(places))))


def job(name):
    """Model, inputs and labels."""
    torch.manual_seed(0)
    kind, batch = name.rstrip("0123456789"), int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))
    if kind == "mlp":
        layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
        return nn.Sequential(*layers), torch.randn(batch, 784), torch.randint(10, (batch,))
    if kind == "resnet":
        stages = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), PlainNorm(8), nn.ReLU()]
        tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
        model = nn.Sequential(*stem, *[ResidualBlock(*stage) for stage in stages], *tail)
        return model, torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))
    if kind == "gpt":
        return Gpt(), torch.randint(96, (batch, 64)), torch.randint(96, (batch, 64))
    raise SystemExit(f"`{name}` is no model; known are mlpN, resnetN and gptN with N examples")


# ways to C ---------------------------------------------------------------------------------------------------------------------------


def loss_of(model, x, y, criterion=F.cross_entropy):
    z = model(x)
    return criterion(z.flatten(0, -2), y.flatten())


def debiased(model, squares, n):
    """From `squares` = sum_i |g_i|^2 of the examples' own gradients, and the mean gradient in `.grad`."""
    signal = sum(p.grad.square().sum() for p in model.parameters())
    noise = (squares - n * signal) / (n - 1)
    return (signal / noise).item() - 1 / n


def plain(model, x, y):
    def step():
        model.zero_grad()
        loss_of(model, x, y).backward()

    return step


def position_norms(a, o):
    """sum_i |sum_t o_it a_it'|^2 by the cheaper of two ways."""
    t, i, k = a.shape[1], a.shape[2], o.shape[2]
    if t * (i + k) < i * k:
        return ((a @ a.mT) * (o @ o.mT)).sum()
    return (o.mT @ a).square().sum()


def hooks(model, x, y):
    """What one would write by hand: norms out of inputs and output gradients, layer by layer."""
    n, found = len(x), []

    def norms(layer, a, o):
        if isinstance(layer, nn.Linear) and a.dim() == 2:
            bias = 0 if layer.bias is None else 1
            return ((a.square().sum(1) + bias) * o.square().sum(1)).sum()
        if isinstance(layer, nn.Linear):
            bias = 0 if layer.bias is None else o.sum(1).square().sum()
            return position_norms(a, o) + bias
        if isinstance(layer, nn.Conv2d):
            patches = F.unfold(a, layer.kernel_size, padding=layer.padding, stride=layer.stride)
            return position_norms(patches.mT, o.flatten(2).mT)
        # an embedding: tokens that are the same add up
        return ((o @ o.mT) * (a[:, :, None] == a[:, None, :])).sum()

    def attach(layer, inputs, output):
        a = inputs[0].detach()
        output.register_hook(lambda o: found.append(norms(layer, a, o)))

    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Embedding)):
            layer.register_forward_hook(attach)

    def step():
        model.zero_grad()
        found.clear()
        loss_of(model, x, y).backward()
        return debiased(model, n * n * sum(found), n)

    return step


def backpack_norms(model, x, y):
    from backpack import backpack, extend
    from backpack.extensions import BatchL2Grad

    n, model, criterion = len(x), extend(model, use_converter=False), extend(nn.CrossEntropyLoss())

    def step():
        model.zero_grad()
        with backpack(BatchL2Grad()):
            loss_of(model, x, y, criterion).backward()
        squares = n * n * sum(p.batch_l2.sum() for p in model.parameters())
        return debiased(model, squares, n)

    return step


def backpack_variance(model, x, y):
    from backpack import backpack, extend
    from backpack.extensions import Variance

    n, model, criterion = len(x), extend(model), extend(nn.CrossEntropyLoss())

    def step():
        model.zero_grad()
        with backpack(Variance()):
            loss_of(model, x, y, criterion).backward()
        signal = sum(p.grad.square().sum() for p in model.parameters())
        noise = n * n * sum(p.variance.sum() for p in model.parameters()) * n / (n - 1)
        # BackPACK's variance is of the examples' shares of the mean, with the divisor n
        return (signal / noise).item() - 1 / n

    return step


def opacus_ghost(model, x, y):
    from opacus.grad_sample import GradSampleModuleFastGradientClipping as Ghost

    n = len(x)
    model = Ghost(model, loss_reduction="mean", use_ghost_clipping=True, max_grad_norm=1.0)

    def step():
        model.zero_grad()
        for p in model.parameters():
            if hasattr(p, "_norm_sample"):
                del p._norm_sample
        loss_of(model, x, y).backward()
        # opacus has multiplied the shares by n already
        return debiased(model, sum(p._norm_sample.square().sum() for p in model.parameters()), n)

    return step


def torch_func(model, x, y):
    from torch.func import functional_call, grad, vmap

    n, values = len(x), {name: p.detach() for name, p in model.named_parameters()}

    def one(values, x, y):
        z = functional_call(model, values, (x[None],))
        return F.cross_entropy(z.flatten(0, -2), y.reshape(-1))

    every = vmap(grad(one), in_dims=(None, 0, 0))

    def step():
        rows = every(values, x, y).values()
        squares = sum(g.square().sum() for g in rows)
        signal = sum(g.mean(0).square().sum() for g in rows)
        return (signal / ((squares - n * signal) / (n - 1))).item() - 1 / n

    return step


METHODS = {
    "plain": plain,
    "hooks": hooks,
    "BackPACK BatchL2Grad": backpack_norms,
    "opacus ghost norms": opacus_ghost,
    "torch.func vmap(grad)": torch_func,
    "BackPACK Variance": backpack_variance,
}
OURS = ["plain", "exact", "diagonal"]


# the comparison ----------------------------------------------------------------------------------------------------------------------


class Served:
    """Steps of fjld in a process of its own."""

    def __init__(self, program, model, way):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([program, model, way], text=True, **pipes)

    def __call__(self, steps):
        print(steps, file=self.process.stdin, flush=True)
        seconds, c = self.process.stdout.readline().split()
        return float(seconds), None if c == "none" else float(c)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Here:
    """Steps of a PyTorch method in this process."""

    def __init__(self, build, model):
        self.step = build(*job(model))

    def __call__(self, steps):
        start, c = time.process_time(), None
        for _ in range(steps):
            c = self.step()
        return time.process_time() - start, c

    def close(self):
        pass


def compare(model, rounds, program):
    """CPU seconds a step of every method, and its C."""
    runs, said, times, steps = {}, {}, {}, {}
    makers = {name: lambda b=build: Here(b, model) for name, build in METHODS.items()}
    makers |= {f"fjld {way}": lambda w=way: Served(program, model, w) for way in OURS}
    for name, make in makers.items():
        try:
            run = make()
            run(1)
            seconds, said[name] = run(1)
        except Exception as error:  # a peer that does not know a layer is left out, and said
            print(f"{model}: {name}: {type(error).__name__}: {str(error)[:150]}", flush=True)
            continue
        runs[name], times[name] = run, []
        steps[name] = max(1, min(50, int(0.12 / seconds)))
    for at in range(rounds):
        for name, run in runs.items():
            # what takes long is not done in every round
            if steps[name] == 1 and at % 3 and name not in ("plain", "fjld exact", "fjld plain"):
                times[name].append(float("nan"))
                continue
            times[name].append(run(steps[name])[0] / steps[name])
    for run in runs.values():
        run.close()
    return [{"table": "peers", "model": model, "method": name, "cpu": times[name], "c": said[name]} for name in runs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["mlp128", "mlp1024", "resnet64", "gpt16"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", help="append the raw rows to this file")
    parser.add_argument("--serve", default=str(ROOT / "target/debug/examples/serve"))
    given = parser.parse_args()
    for model in given.models:
        rows = compare(model, given.rounds, given.serve)
        reference = {row["method"]: row["cpu"] for row in rows}
        for row in rows:
            ratios = [
                statistics.median(a / b for a, b in zip(row["cpu"], reference[to]) if a == a and b == b)
                for to in ("plain", "fjld exact")
            ]
            took = statistics.median(t for t in row["cpu"] if t == t)
            c = "" if row["c"] is None else f"  C {row['c']:.4f}"
            print(f"{model:9} {row['method']:24} {1e3 * took:9.2f} ms  {ratios[0]:6.2f} of plain  {ratios[1]:6.2f} of fjld exact{c}", flush=True)
            row["cpu"] = [None if t != t else t for t in row["cpu"]]
        if given.json:
            with open(given.json, "a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
