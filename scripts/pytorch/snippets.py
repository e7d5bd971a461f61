"""Runs the Python of README.md as it is printed there, and writes what `measure` ought to say of its output.

The page's code meets a small network and data; what it writes is then computed again by plain loops (one `backward` an example), numpy
and the textbook's formulas. `dump_gradients.py compare` holds the program against that.
"""

import argparse
import json
import multiprocessing
import os
import re
from pathlib import Path

import numpy as np
import torch
from dump_gradients import LEVEL, metrics, small_network, student_quantile

EXAMPLES, BATCH, WORKERS = 320, 8, 2
PAGE = Path(__file__).with_name("README.md")


def blocks():
    """The page's Python, in order: per example, per minibatch, data-parallel."""
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 3, f"README.md has {len(found)} blocks of Python; this script knows three"
    return found


def subject():
    """The names that the page takes for granted: a model, its loss, data and a loader, in float64."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    templates = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    labels = torch.randint(0, 16, (EXAMPLES,))
    inputs = templates[labels] + 0.8 * torch.randn(EXAMPLES, 1, 8, 8, dtype=torch.float64)
    model, loss = small_network(torch).double(), torch.nn.CrossEntropyLoss()
    loader = [(inputs[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, EXAMPLES, BATCH)]
    return {"model": model, "loss": loss, "inputs": inputs, "labels": labels, "loader": loader}


def gradient(names, x, y):
    """The gradient of the mean loss over some examples, by one backward pass, as one row."""
    names["model"].zero_grad()
    names["loss"](names["model"](x), y).backward()
    return torch.cat([p.grad.reshape(-1) for p in names["model"].parameters()]).clone().numpy()


def worker(rank, rendezvous, code, folder):
    """One of two workers, which run the page's last block on their halves of each batch of 16."""
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=WORKERS)
    names = subject()
    exec(code, names)
    parameters = list(names["model"].parameters())
    with open(folder / "norms.csv", "w") if rank == 0 else open(os.devnull, "w") as file:
        for step in range(EXAMPLES // (WORKERS * BATCH)):
            names["model"].zero_grad()
            x, y = names["loader"][WORKERS * step + rank]
            names["loss"](names["model"](x), y).backward()
            names["average_and_log"](parameters, BATCH, step, file if rank == 0 else None)
            # what is left for the optimiser is the gradient of the mean over both halves
            left = torch.cat([p.grad.reshape(-1) for p in parameters]).numpy()
            halves = [gradient(names, *names["loader"][WORKERS * step + r]) for r in range(WORKERS)]
            assert np.allclose(left, np.mean(halves, axis=0), rtol=0, atol=1e-12 * np.abs(left).max())
    dist.destroy_process_group()


def data_parallel(code, folder):
    context = multiprocessing.get_context("spawn")
    arguments = [(rank, folder / "rendezvous", code, folder) for rank in range(WORKERS)]
    workers = [context.Process(target=worker, args=a) for a in arguments]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    assert all(process.exitcode == 0 for process in workers), "a worker failed"


def two_batch(small, big, b, B):
    """Every number of `measure --two-batch --json`: a ratio of means, and the interval of Fieller (1954)."""
    n = len(small)
    signal, noise = (B * big - b * small) / (B - b), (small - big) / (1 / b - 1 / B)
    s, t = float(signal.mean()), float(noise.mean())
    (v_s, v_st), (_, v_t) = np.cov(signal, noise, ddof=1) / n
    q2 = student_quantile(0.5 + LEVEL / 2, n - 1) ** 2
    ends = np.sort(np.roots([t * t - q2 * v_t, -2 * (s * t - q2 * v_st), s * s - q2 * v_s]).real)
    assert s > 0 and t * t > q2 * v_t and ends[0] > 0, "take more steps: the interval is not bounded"
    low, high = (float(end) for end in ends)
    return {
        "steps": n,
        "exchangeable": "step",
        "batch_sizes.small": b,
        "batch_sizes.big": B,
        "signal": s,
        "noise": t,
        "ratio.debiased": B * s / t,
        "ratio.interval": [B * low, B * high],
        "ratio.level": LEVEL,
        "phase": "diffusive" if B * high < 1 else "drift" if B * low > 1 else "critical",
        "noise_scale": t / s,
        "noise_scale_interval": [1 / high, 1 / low],
    }


def run(folder):
    folder.mkdir(parents=True)
    os.chdir(folder)
    per_example, per_minibatch, parallel = blocks()
    names = subject()
    exec(per_example, names)
    exec(per_minibatch, names)
    data_parallel(parallel, folder)

    examples = zip(names["inputs"].split(1), names["labels"].split(1))
    rows = np.stack([gradient(names, x, y) for x, y in examples])
    steps = rows.reshape(EXAMPLES // BATCH, BATCH, -1).mean(1)
    pairs = steps.reshape(-1, WORKERS, steps.shape[1])
    small = np.sum(pairs**2, axis=2).mean(1)
    big = np.sum(pairs.mean(1) ** 2, axis=1)
    expected = {
        "examples": metrics(rows, 1),
        "minibatches": metrics(steps, BATCH),
        "norms": two_batch(small, big, BATCH, WORKERS * BATCH),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["run"])
    parser.add_argument("folder", type=Path)
    run(parser.parse_args().folder.resolve())
