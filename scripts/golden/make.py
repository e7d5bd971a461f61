"""Golden files for fjld-core: per-example gradients, Kronecker factors and Fisher matrices of three small models, from PyTorch.

    python make.py write     draws weights and data, measures, and writes fjld-core/tests/golden/*.safetensors
    python make.py check     measures again at the weights and data of the written files, and compares

Why: `fjld-core/tests/golden` rebuilds the models in candle from the weights in these files. Tests in candle alone would share its
idea of a convolution, a normalisation or a softmax; here another framework has computed everything from the definitions below. What the
files hold was computed twice here too, by `torch.func` and by one `backward` an example, and is written only if the two agree.

Everything is float64. Legend: `n` examples, `T` positions of a layer in one example, `l_i` the loss of example `i`: its cross-entropy, for
the language model the mean over its tokens. All gradients are of `l_i`, without a `1/n`.

    weights.NAME             parameters by candle-nn's names and shapes, which are PyTorch's
    data.inputs, .targets    n examples
    rows.NAME                [n, *shape], the gradients dl_i / dNAME
    mean.NAME, variance.NAME their mean, and their variance with the divisor n - 1
    squared_norms            [n], |g_i|^2 over all parameters
    signal, noise, ratio     |mean g|^2, the trace of the covariance (divisor n - 1), and signal / noise
    factors.LAYER.expand.a   [in (+1), in (+1)], A = mean over i and t of a_it a_it'
    factors.LAYER.expand.g   [out, out], G = (1/n) sum over i and t of g_it g_it', with g_it = dl_i / dz_it at the layer's output
    factors.LAYER.reduce.a   A = mean over i of (mean over t of a_it) (same)'
    factors.LAYER.reduce.g   G = mean over i of (sum over t of g_it) (same)'
    fisher.LAYER             [out (in+1), out (in+1)], the empirical Fisher (1/n) sum_i g_i g_i', uncentred, of the row-major [weight | bias]
    type2.LAYER.g            G as above, with the expectation over labels drawn from the model in the place of the real label
    ggn                      [d, d], (1/n) sum_i J_i' (diag p_i - p_i p_i') J_i, J_i = d logits_i / d parameters in the order of their names

With a bias, `a` has a 1 appended last. For a convolution `a_it` is the patch under output position `t`, in the order of the weight's
last three axes.
"""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn import functional as F

FOLDER = Path(__file__).resolve().parents[2] / "fjld-core" / "tests" / "golden"

# Two ways to the same number in float64: sums of up to some 1e3 products in different orders, relative to the largest entry.
TOLERANCE = 1e-12

EXAMPLES = 6


# Of the normalisations: large, and no float32, so that how it is rounded shows.
EPSILON = 0.1


class Mlp(nn.Module):
    """5 - 7 - 4 with relu: 74 parameters."""

    fisher_of = ["second"]

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 7)
        self.second = nn.Linear(7, 4)

    def forward(self, x):
        return self.second(F.relu(self.first(x)))

    def data(self, generator):
        return torch.randn(EXAMPLES, 5, generator=generator), torch.randint(4, (EXAMPLES,), generator=generator)


class Cnn(nn.Module):
    """Images of 2 x 8 x 11: a strided convolution, GroupNorm, a convolution in two groups, average pooling: 303 parameters.

    The stride leaves a line of pixels over, and no column.
    """

    fisher_of = ["conv"]

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, 4, eps=EPSILON)
        self.grouped = nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False)
        self.head = nn.Linear(36, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = F.avg_pool2d(torch.tanh(self.grouped(x)), 2)
        return self.head(x.flatten(1))

    def data(self, generator):
        images = torch.randn(EXAMPLES, 2, 8, 11, generator=generator)
        return images, torch.randint(3, (EXAMPLES,), generator=generator)


class Block(nn.Module):
    """Causal attention in two heads and a perceptron, each behind a LayerNorm and added to its input."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width, eps=EPSILON)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width, eps=EPSILON)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def attention(self, x):
        n, positions, width = x.shape
        # [n, T, 3, heads, width / heads], each [n, heads, T, width / heads]
        q, k, v = self.qkv(x).reshape(n, positions, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        future = torch.ones(positions, positions, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, positions, width))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        # tanh and not gelu: candle's gelu is exact to 2e-7 only
        return x + self.down(torch.tanh(self.up(self.ln_2(x))))


class Gpt(nn.Module):
    """Five tokens of a vocabulary of 7, width 8, one block, the head tied to the token embedding: 712 parameters."""

    fisher_of = ["block.out"]

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 8)
        self.places = nn.Embedding(5, 8)
        self.block = Block(8, 2)
        self.ln = nn.LayerNorm(8, eps=EPSILON)
        self.head = nn.Linear(8, 7, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        x = self.block(self.tokens(ids) + self.places(torch.arange(ids.shape[1])))
        return self.head(self.ln(x))

    def data(self, generator):
        text = torch.randint(7, (EXAMPLES, 6), generator=generator)
        return text[:, :-1].contiguous(), text[:, 1:].contiguous()


MODELS = {"mlp": Mlp, "cnn": Cnn, "gpt": Gpt}


def draw(model, generator):
    """Weights of the size that keeps activations near 1; scales near 1 and shifts that are not 0, so that neither can be left out."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                values /= (parameter.numel() / parameter.shape[0]) ** 0.5
            elif name.endswith(".weight"):
                values = 1 + 0.3 * values
            else:
                values *= 0.3
            parameter.copy_(values)


def example_losses(logits, targets):
    """[n]: the cross-entropy of each example, the mean over its positions if it has several."""
    losses = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    return losses.reshape(len(targets), -1).mean(1)


def rows_by_vmap(model, inputs, targets):
    """{name: [n, *shape]} in one pass."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters, x, y):
        return example_losses(functional_call(model, parameters, (x.unsqueeze(0),)), y.unsqueeze(0)).squeeze()

    return vmap(grad(loss), in_dims=(None, 0, 0))(parameters, inputs, targets)


def rows_by_loop(model, inputs, targets):
    """The same by one backward pass an example."""
    rows = {name: [] for name, _ in model.named_parameters()}
    for x, y in zip(inputs, targets, strict=True):
        model.zero_grad()
        example_losses(model(x.unsqueeze(0)), y.unsqueeze(0)).sum().backward()
        for name, parameter in model.named_parameters():
            rows[name].append(parameter.grad.clone())
    return {name: torch.stack(own) for name, own in rows.items()}


def layers_with_factors(model):
    """Linear layers and convolutions in one group, whose weight's gradient is one sum of products."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1):
            # a tied weight goes by its first name
            first = next(n for n, p in model.named_parameters() if p is module.weight)
            yield first.removesuffix(".weight"), module


def pairs(model, inputs, targets):
    """{layer: (a [n, T, in], with the bias's 1, g [n, T, out])} by hooks."""
    seen = {}

    def hook(name):
        def keep(module, arguments, output):
            output.retain_grad()
            seen[name] = (module, arguments[0].detach(), output)

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in layers_with_factors(model)]
    example_losses(model(inputs), targets).sum().backward()
    for handle in handles:
        handle.remove()
    result = {}
    for name, (module, a, output) in seen.items():
        g = output.grad
        if isinstance(module, nn.Conv2d):
            a = F.unfold(a, module.kernel_size, module.dilation, module.padding, module.stride).transpose(1, 2)
            g = g.flatten(2).transpose(1, 2)
        a, g = a.reshape(len(inputs), -1, a.shape[-1]), g.reshape(len(inputs), -1, g.shape[-1])
        if module.bias is not None:
            a = torch.cat([a, torch.ones_like(a[..., :1])], dim=2)
        result[name] = (a, g)
    return result


def factors(a, g):
    """Indices: n example, t position; i, j features."""
    n, positions, _ = a.shape
    mean, total = a.mean(1), g.sum(1)
    return {
        "expand.a": torch.einsum("nti,ntj->ij", a, a) / (n * positions),
        "expand.g": torch.einsum("nti,ntj->ij", g, g) / n,
        "reduce.a": torch.einsum("ni,nj->ij", mean, mean) / n,
        "reduce.g": torch.einsum("ni,nj->ij", total, total) / n,
    }


def joint_rows(rows, layer):
    """[n, out, in (+1)]: the gradients of [weight | bias]."""
    weight = rows[f"{layer}.weight"].flatten(2)
    bias = rows.get(f"{layer}.bias")
    return weight if bias is None else torch.cat([weight, bias.unsqueeze(2)], dim=2)


def assert_close(one, other, what):
    scale = other.abs().max().item()
    gap = (one - other).abs().max().item()
    assert gap <= TOLERANCE * scale, f"{what}: two ways differ by {gap:.1e} of {scale:.1e}"


def flat(tensors):
    """[n, d] in the order of the names."""
    return torch.cat([tensors[name].flatten(1) for name in sorted(tensors)], dim=1)


def logits_jacobian(model, inputs):
    """[n, classes, d] in the order of the names."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def logits(parameters, x):
        return functional_call(model, parameters, (x.unsqueeze(0),)).squeeze(0)

    jacobian = vmap(jacrev(logits), in_dims=(None, 0))(parameters, inputs)
    return torch.cat([jacobian[name].flatten(2) for name in sorted(jacobian)], dim=2)


def generalised_gauss_newton(model, inputs):
    """(1/n) sum_i J_i' H_i J_i by the Hessian of cross-entropy in the logits, held against torch's own Hessian."""
    jacobian, p = logits_jacobian(model, inputs), model(inputs).detach().softmax(-1)
    hessians = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    for x, hessian in zip(inputs, hessians, strict=True):
        z = model(x.unsqueeze(0)).detach().squeeze(0)
        target = torch.tensor(0)
        by_torch = torch.autograd.functional.hessian(lambda z: F.cross_entropy(z, target), z)
        assert_close(hessian, by_torch, "the Hessian of cross-entropy")
    return torch.einsum("nci,ncd,ndj->ij", jacobian, hessians, jacobian) / len(inputs)


def type2_output_gradients(model, inputs, layer):
    """G of `layer` with the expectation over labels: (1/n) sum_i E_y (dl(z_i, y)/dz) (same)', y from the model, for one position."""
    module = model.get_submodule(layer)
    probabilities = model(inputs).detach().softmax(-1)
    total = 0
    kept = []

    def keep(_, __, output):
        output.retain_grad()
        kept.append(output)

    handle = module.register_forward_hook(keep)
    for y in range(probabilities.shape[-1]):
        targets = torch.full((len(inputs),), y)
        example_losses(model(inputs), targets).sum().backward()
        g = kept.pop().grad
        total = total + torch.einsum("n,ni,nj->ij", probabilities[:, y], g, g) / len(inputs)
    handle.remove()
    return total


def measure(kind, model, inputs, targets):
    """Everything in a file but weights and data."""
    rows = rows_by_vmap(model, inputs, targets)
    for name, by_loop in rows_by_loop(model, inputs, targets).items():
        assert_close(rows[name], by_loop, f"{kind}: gradients of {name}")
    result = {}
    for name, own in rows.items():
        result[f"rows.{name}"] = own
        result[f"mean.{name}"] = own.mean(0)
        result[f"variance.{name}"] = own.var(0, correction=1)
    whole = flat(rows)
    covariance = torch.cov(whole.T, correction=1)
    result["squared_norms"] = whole.square().sum(1)
    result["signal"] = whole.mean(0).square().sum()
    result["noise"] = covariance.trace()
    result["ratio"] = result["signal"] / result["noise"]
    for layer, (a, g) in pairs(model, inputs, targets).items():
        if layer != "tokens":
            # the gradient is the sum of products; the embedding's has a share beside its head's
            assert_close(torch.einsum("nto,nti->noi", g, a), joint_rows(rows, layer), f"{kind}: the pair of {layer}")
        for form, matrix in factors(a, g).items():
            result[f"factors.{layer}.{form}"] = matrix
    for layer in model.fisher_of:
        own = joint_rows(rows, layer).flatten(1)
        result[f"fisher.{layer}"] = own.T @ own / len(own)
    if kind == "mlp":
        result["ggn"] = generalised_gauss_newton(model, inputs)
        for layer in ["first", "second"]:
            result[f"type2.{layer}.g"] = type2_output_gradients(model, inputs, layer)
        # at the logits the expectation over labels is the Hessian
        p = model(inputs).detach().softmax(-1)
        hessian = (torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)).mean(0)
        assert_close(result["type2.second.g"], hessian, "type 2 at the logits")
    return {name: tensor.detach().contiguous() for name, tensor in result.items()}


def write():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for seed, (kind, build) in enumerate(MODELS.items(), start=1):
        generator = torch.Generator().manual_seed(seed)
        model = build()
        draw(model, generator)
        inputs, targets = model.data(generator)
        tensors = {f"weights.{name}": p.detach().clone() for name, p in model.named_parameters()}
        tensors |= {"data.inputs": inputs, "data.targets": targets}
        tensors |= measure(kind, model, inputs, targets)
        path = FOLDER / f"{kind}.safetensors"
        save_file(tensors, path)
        print(f"{path.name}: {path.stat().st_size} bytes, C = {tensors['ratio'].item():.6f}")


def check():
    """Prints the worst relative difference of each file, and returns whether all are within the tolerance."""
    fine = True
    for kind, build in MODELS.items():
        tensors = load_file(FOLDER / f"{kind}.safetensors")
        model = build()
        weights = {name: tensors.pop(f"weights.{name}") for name, _ in model.named_parameters()}
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        found = measure(kind, model, tensors.pop("data.inputs"), tensors.pop("data.targets"))
        assert set(found) == set(tensors), f"{kind}: {set(found) ^ set(tensors)} on one side only"
        gaps = {name: ((found[name] - t).abs().max() / t.abs().max()).item() for name, t in tensors.items()}
        worst = max(gaps, key=gaps.get)
        print(f"{kind}: {len(gaps)} tensors, worst {worst} by {gaps[worst]:.1e}")
        fine &= gaps[worst] <= TOLERANCE
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["write", "check"])
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    if parser.parse_args().action == "check":
        return 0 if check() else 1
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
