"""Depth and partial sharing: exponents that only other ladders than the regimes show."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from orderparam.experts import RoleRules, ScalingWarning, Shape
from orderparam.experts.adapters.pytorch.plan import torch_plan
from orderparam.experts.models.mlp import MLP_RULES, MLPMixture, mlp_base_std
from orderparam.experts.models.tasks import cross_entropy, digits_task

BASE = Shape(width=64, experts=8, expert_width=16)
SCALES = (1, 4, 16)
TASK = digits_task()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def between(s):
    """N_e grows as the square root of N, M as N: between regimes II and III."""
    return Shape(width=64 * s, experts=8 * s, expert_width=16 * round(s**0.5))


def initial(scale, seed, parameterization, sharing, extra):
    """Base term of the aggregate, back signal b and base term of the adjoint, as logarithms."""
    target = between(scale)
    model = MLPMixture(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScalingWarning)
        plan = torch_plan(
            model, MLP_RULES, base=BASE, target=target, parameterization=parameterization,
            sharing=sharing,
        )  # fmt: skip
    plan.initialize_(model, mlp_base_std(BASE), seed=seed)
    block = model.block
    with torch.no_grad():
        block.expert_out.mul_(extra)
    block.aggregation = plan.forward_multipliers.aggregation / 8
    block.recording = True
    model(TASK.inputs[:24])
    tap = block.tap
    head = model.head.weight.detach()[0] * target.width
    with torch.no_grad():
        b = torch.einsum("mne,n->me", block.expert_out, head) * target.expert_width / target.width
        slope = (tap.preactivation > 0).float() * b
        back = torch.einsum("bm,bme,men->bn", tap.gates, slope, block.expert_in)
    back = back / target.experts / target.expert_width * target.width
    parts = (tap.aggregate.detach(), b, back)
    return [float(part.square().mean().log2()) / 2 for part in parts]


@pytest.mark.parametrize(
    ("parameterization", "sharing", "extra", "expected"),
    [
        ("mssp", "groups", 0.0, (0.0, 0.0, 0.0)),
        ("mup", None, 0.0, (-0.52, -0.24, -0.47)),
        ("mup", None, 0.5, (-0.02, 0.26, 0.03)),
        ("mssp", "full", 0.0, (-0.10, -0.31, -0.04)),
    ],
    ids=["groups", "independent", "independent, sqrt(M)", "fully shared"],
)
def test_only_the_rule_of_groups_keeps_all_three_terms(parameterization, sharing, extra, expected):
    x = np.log2(SCALES)
    runs = np.array(
        [
            [initial(s, seed, parameterization, sharing, s**extra) for s in SCALES]
            for seed in range(4)
        ]
    )
    slopes = np.tensordot(runs, x - x.mean(), axes=(1, 0)) / ((x - x.mean()) ** 2).sum()
    error = slopes.std(axis=0, ddof=1) / 2
    assert slopes.mean(axis=0) == pytest.approx(expected, abs=max(0.06, 3 * float(error.max())))


class ResidualNet(nn.Module):
    """Input, L branches W_out gelu(W_in h) with a factor, head."""

    def __init__(self, layers, factor, width=64, inputs=64):
        super().__init__()
        self.input = nn.Linear(inputs, width, bias=False)
        self.into = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.out = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.head = nn.Linear(width, 10, bias=False)
        self.factor = factor

    def features(self, x):
        h = self.input(x / 8)
        for into, out in zip(self.into, self.out, strict=True):
            h = h + self.factor * out(functional.gelu(into(h)))
        return h

    def forward(self, x):
        return self.head(self.features(x))


RULES = RoleRules(
    [("input.weight", "input"), ("into.*", "ffn_in"), ("out.*", "ffn_out"), ("head.weight", "head")]
)
DEPTHS = (4, 8, 16, 32)


def deep(layers, a, optimizer, seed, rate, constant=False):
    """Displacement of features and size of branch gradients after a few steps."""
    base, target = (Shape(width=64, ffn_width=64, layers=count) for count in (DEPTHS[0], layers))
    model = ResidualNet(layers, layers**-a)
    plan = torch_plan(model, RULES, base=base, target=target, optimizer=optimizer, depth_exponent=a)
    plan.initialize_(model, {"head": 1 / 64, "input": 1.0}, seed=seed)
    groups = plan.param_groups(model, lr=rate)
    if constant:
        for group in groups:
            group["lr"] = rate
    optimiser = {"adamw": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer](groups)
    probe = TASK.inputs[:100]
    start = model.features(probe).detach()
    for step in range(10):
        inputs, labels = TASK.batch(step, 64, seed)
        optimiser.zero_grad()
        cross_entropy(model(inputs), labels).backward()
        optimiser.step()
    optimiser.zero_grad()
    cross_entropy(model(probe), TASK.labels[:100]).backward()
    moved = float((model.features(probe).detach() - start).square().mean().sqrt())
    branch = [layer.weight.grad for layer in itertools.chain(model.into, model.out)]
    gradient = float(torch.stack([g.square().mean() for g in branch]).mean().sqrt())
    return np.log2([moved, gradient])


def depth_slopes(a, optimizer, rate, **options):
    """Exponents of displacement and gradient in the three largest depths, and standard errors."""
    x = np.log2(DEPTHS[1:])
    runs = np.array(
        [[deep(n, a, optimizer, seed, rate, **options) for n in DEPTHS[1:]] for seed in range(8)]
    )
    slopes = np.tensordot(runs, x - x.mean(), axes=(1, 0)) / ((x - x.mean()) ** 2).sum()
    return slopes.mean(axis=0), slopes.std(axis=0, ddof=1) / np.sqrt(len(slopes))


def test_depth_with_exponent_one_half():
    (moved, gradient), errors = depth_slopes(0.5, "adamw", 0.003)
    allowed = np.maximum(0.05, 3 * errors)
    assert abs(moved) < allowed[0]
    assert abs(gradient + 0.5) < allowed[1]
    (without, _), error = depth_slopes(0.5, "adamw", 0.003, constant=True)
    assert without - 3 * error[0] > moved + allowed[0]


@pytest.mark.parametrize(("optimizer", "rate"), [("adamw", 0.003), ("sgd", 0.5)])
def test_depth_with_exponent_one(optimizer, rate):
    (moved, gradient), errors = depth_slopes(1.0, optimizer, rate)
    assert gradient == pytest.approx(-1.0, abs=0.1)
    assert abs(moved) < 0.1 + 3 * errors[0]  # it saturates
