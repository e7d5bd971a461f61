"""Per-example gradients of a small PyTorch model as files for `fjld-checks measure`, and what they ought to measure.

`dump` trains a small network a little, takes the gradient of every example with `torch.func` (vmap of grad), writes them in every form
that `measure` reads, and computes each metric of `measure --json` from the written numbers in numpy's float64, by the textbook's
formulas and none of our code. `compare` holds those against what the program said.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

# Both sides add some 1e5 products in float64 in different orders: rounding leaves 1e-13 or so, and a factor of 1e3 for the differences
# of nearly equal sums in the interval and the effective rank. A wrong divisor, say n for n - 1, shows as 1e-2.
TOLERANCE = 1e-10
LEVEL = 0.95

# Up to these sizes the program keeps every row as it is; beyond, its interval comes from blocks of rows, by a sketch of them.
MOST_ROWS, MOST_COLUMNS = 256, 2048


def per_example_gradients(model, loss, inputs, labels):
    """The gradient of `loss(model(x), y)` for each example, as one row each: [n, d], in the order of `named_parameters`."""
    from torch.func import functional_call, grad, vmap

    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def example_loss(parameters, x, y):
        prediction = functional_call(model, parameters, (x.unsqueeze(0),))
        return loss(prediction, y.unsqueeze(0))

    rows = vmap(grad(example_loss), in_dims=(None, 0, 0))(parameters, inputs, labels)
    # reshape keeps row-major order: [n, *shape] -> [n, -1], side by side
    import torch

    return torch.cat([rows[name].reshape(len(inputs), -1) for name in parameters], dim=1)


def small_network(torch):
    """A convolution and two linear layers on 8 x 8 images: 1,676 parameters."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2, padding=1),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 20),
        torch.nn.Tanh(),
        torch.nn.Linear(20, 16),
    )


def trained_gradients(examples, seed):
    """Gradients [examples, d] in float64, and the same model's in float32, after a few steps on a task that can be learnt."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(2)
    templates = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    labels = torch.randint(0, 16, (examples,))
    images = templates[labels] + 0.8 * torch.randn(examples, 1, 8, 8, dtype=torch.float64)
    model = small_network(torch).double()
    loss = torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        loss(model(images), labels).backward()
        optimiser.step()
    rows = per_example_gradients(model, loss, images, labels)
    # the mean of the rows is what autograd gives for the whole batch
    optimiser.zero_grad()
    loss(model(images), labels).backward()
    whole = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    assert torch.allclose(rows.mean(0), whole, rtol=0, atol=1e-12 * whole.abs().max().item())
    # an example without an image moves nothing but biases: with no image at all the first layer's weights never move
    blind = per_example_gradients(model, loss, torch.zeros_like(images), labels)
    singles = per_example_gradients(model.float(), loss, images.float(), labels)
    return rows.numpy(), singles.numpy(), blind.numpy()


def student_quantile(probability, freedom):
    """Student's quantile by Newton's steps on the integral of the density (200 Gauss-Legendre nodes)."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    log_norm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)

    def density(x):
        return np.exp(log_norm - (freedom + 1) / 2 * np.log1p(x * x / freedom))

    x = 2.0
    for _ in range(50):
        integral = x / 2 * np.sum(weights * density(x / 2 * (nodes + 1)))
        x -= (0.5 + integral - probability) / density(x)
    return float(x)


def matched_interval(rows):
    """The interval of the `Spread::interval` of fjld-core, by its documented formula, from single rows."""
    n = len(rows)
    mean = rows.mean(0)
    gaps = rows - mean
    signal, scatter = float(np.sum(mean**2)), float(np.sum(gaps**2))
    noise = scatter / (n - 1)
    plug_in = signal / noise
    inverse_rank = 1 / max(effective_rank(rows), 1.0)
    squared = np.sum(gaps**2, axis=1)
    # the mean of the others on one side, and what leaving a row out does to the logarithm of the noise on the other
    along = (gaps @ mean - squared / (n - 1)) / noise
    excess = np.log((n - 1) / (n - 2) * (1 - squared * n / (n - 1) / scatter))
    along, excess = along - along.mean(), excess - excess.mean()
    along_square, excess_square = float(np.sum(along**2)), float(np.sum(excess**2))
    b = min((n / (n - 1) * along_square + inverse_rank**2) / (n * plug_in), 1.0)
    v = max((n - 1) / n * excess_square, 2 * inverse_rank / (n - 1))
    correlation = float(np.clip(-np.sum(along * excess) / math.sqrt(along_square * excess_square), -1, 1))
    k = max(v - 2 * inverse_rank / (n - 1), 0.0)

    def z(log_expected):
        expected = math.exp(log_expected)
        nx, m = max(expected - 1, 0.0), max(expected, 1.0)
        base = 4 * b * nx + 2 * inverse_rank
        h = min(max(1 - m * (8 * inverse_rank**2 + 24 * b**2 * nx) / (3 * base**2), 0.1), 0.5)
        s = correlation * math.sqrt(4 * b * nx * v) / m
        w, c = (base + k) / m**2 + 2 * s / m, k / m + s
        root = (n * plug_in / expected) ** h
        top = root * (1 - h * (1 - h) * v / 2) - (1 - h * (1 - h) * w / 2)
        return top / (h * math.sqrt(max(v * root**2 + w - 2 * c * root, 0.0)))

    quantile = student_quantile(0.5 + LEVEL / 2, n - 1)
    ends = []
    for side in [quantile, -quantile]:
        low, high = -100.0, 100.0
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if z(middle) > side else (low, middle)
        ends.append(math.expm1(high) / n)
    debiased = plug_in - 1 / n
    return [min(ends[0], debiased), max(ends[1], debiased)]


def effective_rank(rows):
    """(Tr D)^2 / Tr(D^2) by the unbiased estimators of Himeno and Yamada (2014), from the sample covariance."""
    n = len(rows)
    centred = rows - rows.mean(0)
    gram = centred @ centred.T
    trace = np.trace(gram) / (n - 1)
    square = np.sum(gram**2) / (n - 1) ** 2
    fourth = np.sum(np.diag(gram) ** 2) / (n - 1)
    trace_of_square = (n - 1) * (n - 2) * square + trace**2 - n * fourth
    square_of_trace = 2 * square + (n * n - 3 * n + 1) * trace**2 - n * fourth
    return float(square_of_trace / trace_of_square)


def metrics(rows, batch_size):
    """Every number of `measure --json`; `None` where it is null, and no "ratio.interval" or "phase" beyond the sizes above."""
    rows = rows.astype(np.float64)
    n, d = rows.shape
    variances = rows.var(0, ddof=1)
    signal, noise = float(np.sum(rows.mean(0) ** 2)), float(np.sum(variances))
    still = int(np.sum(np.ptp(rows, axis=0) == 0))
    debiased = signal / noise - 1 / n
    result = {
        "samples": n,
        "dimension": d,
        "batch_size": batch_size,
        "signal": signal,
        "noise": noise,
        "ratio.plug_in": signal / noise,
        "ratio.debiased": debiased,
        "ratio.level": LEVEL,
        "noise_scale": batch_size / debiased if debiased > 0 else None,
        "effective_rank": effective_rank(rows),
        "zero_variance_coordinates": still,
        "log_jeffreys.diagonal": None if still else float(-0.5 * np.sum(np.log(variances))),
    }
    if n <= MOST_ROWS and d <= MOST_COLUMNS:
        low, high = matched_interval(rows)
        result["ratio.interval"] = [low, high]
        result["phase"] = "diffusive" if high < 1 else "drift" if low > 1 else "critical"
    return result


def dump(folder, examples, seed):
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    doubles, singles, blind = trained_gradients(examples, seed)
    assert doubles.dtype == np.float64 and singles.dtype == np.float32
    batch = 8
    steps = doubles.reshape(examples // batch, batch, -1).mean(1)
    expected = {}
    for name, rows in {"f64": doubles, "f32": singles, "blind": blind}.items():
        rows = np.ascontiguousarray(rows)
        np.save(folder / f"{name}.npy", rows)
        save_file({"gradients": rows}, folder / f"{name}.safetensors")
        for form in ["npy", "safetensors"]:
            expected[f"{name}.{form}"] = metrics(rows, 1)
    # one file a step, each the gradient of a minibatch's mean loss: [d]
    (folder / "steps").mkdir(exist_ok=True)
    for step, row in enumerate(steps):
        np.save(folder / "steps" / f"step-{step}.npy", row)
    expected["steps"] = metrics(steps, batch)
    (folder / "expected.json").write_text(json.dumps(expected, indent=2))


def flat(value, path=""):
    """Leaves by dotted path; lists are leaves."""
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, inner in value.items() for k, v in flat(inner, f"{path}.{key}" if path else key).items()}


def distance(ours, theirs):
    """The relative error of a number; of an interval, relative to its width; None where both are the same and no numbers."""
    if isinstance(theirs, list):
        width = theirs[1] - theirs[0]
        return max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / width
    if isinstance(theirs, float) and isinstance(ours, (int, float)):
        return abs(ours - theirs) / max(abs(theirs), sys.float_info.min)
    return 0.0 if ours == theirs else math.inf


def compare(folder):
    """Prints the worst relative error of every metric, and returns whether all are within the tolerance."""
    expected = json.loads((folder / "expected.json").read_text())
    worst = {}
    for name, numbers in expected.items():
        measured = json.loads((folder / f"{name}.measured.json").read_text())
        found = flat({key: value for key, value in measured.items() if key not in ("schema", "reasons")})
        unexpected = set(found) - set(numbers) - {"ratio.interval", "phase"}
        assert not unexpected, f"{name}: measure says {unexpected}, which is not recomputed here"
        for path, theirs in numbers.items():
            error = distance(found[path], theirs)
            if error > TOLERANCE:
                print(f"DIFFERS: {name}: {path}: measure {found[path]}, numpy {theirs}")
            worst[path] = max(worst.get(path, 0.0), error)
    for path, error in worst.items():
        print(f"{path:<27} {error:.1e}")
    print(f"{len(expected)} dumps, worst {max(worst.values()):.1e}, tolerance {TOLERANCE:.0e}")
    return max(worst.values()) <= TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["dump", "compare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=96, help="rows per dump, a multiple of 8")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.action == "compare":
        return 0 if compare(arguments.folder) else 1
    if arguments.examples < 40 or arguments.examples % 8:
        parser.error(f"--examples is {arguments.examples}; it must be a multiple of 8 and at least 40")
    dump(arguments.folder, arguments.examples, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
