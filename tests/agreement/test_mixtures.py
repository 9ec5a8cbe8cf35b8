"""Theory against fits and message passing: the intercept of the regression on 1/dimension."""

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.mixtures import (
    CustomLoss,
    CustomPenalty,
    EngineEvolution,
    MessagePassing,
    MixtureERM,
    StateEvolution,
    anisotropic,
    blocks,
    isotropic,
)
from orderparam.results import Solution

BLOCKS = blocks((0.9, 0.3), (0.6, 0.4), 0.35)
NAMES = ("train_loss", "train_error", "test_error", "Q", "m", "b", "energy", "norm")
HUBER = CustomLoss(lambda y, z: jnp.sqrt(1 + (y - z) ** 2) - 1, label="pseudo-Huber")
LOPSIDED = CustomPenalty(
    lambda w: jnp.maximum(w, 0) + 2 * jnp.maximum(-w, 0),
    lambda B, A, s: jnp.where(s < B, (B - s) / A, jnp.where(-2 * s > B, (B + 2 * s) / A, 0.0)),
    label="lopsided l1",
)
FAST = [("square", "l1"), ("hinge", "l2"), ("logistic", "l2")]
FULL = [
    ("square", "l2"), ("square", "elastic-net"), ("logistic", "l1"), ("logistic", "elastic-net"),
    ("hinge", "l1"), ("hinge", "elastic-net"), (HUBER, "l2"), (HUBER, "l1"), ("square", LOPSIDED),
    ("logistic", LOPSIDED),
]  # fmt: skip


def shifted(theory, factor):
    """The theory with its means changed, as by a wrong weight of the response."""
    return Solution(theory.dataset.assign(m=theory["m"] * factor, Q=theory["Q"] * factor**2))


def check(problem, dimensions, seeds, names=NAMES):
    fits = op.simulate(problem, dimension=dimensions, seeds=seeds, progress=False)
    theory = op.solve(problem, progress=False)
    agreement = op.compare(theory, fits, variables=names)
    assert agreement.verdict != "fail", str(agreement)
    assert op.compare(shifted(theory, 1.3), fits, variables=names).verdict == "fail"
    return theory, fits


@pytest.mark.parametrize(("loss", "penalty"), FAST)
def test_fits_agree_and_a_wrong_theory_fails(loss, penalty):
    problem = MixtureERM(BLOCKS, loss, penalty, 0.25, [1.0, 2.0])
    theory, fits = check(problem, (50, 100, 200), (32, 24, 16))
    if loss == "logistic":
        # The bias that a balanced mixture has is not that of this one.
        wrong = Solution(theory.dataset.assign(b=0 * theory["b"]))
        assert op.compare(wrong, fits, variables=("b",)).verdict == "fail"


@pytest.mark.validate
@pytest.mark.parametrize(("loss", "penalty"), FAST + FULL)
def test_every_loss_with_every_penalty(loss, penalty):
    problem = MixtureERM(BLOCKS, loss, penalty, 0.25, [1.0, 2.0], class_weights=(1.5, 0.8))
    sizes = (500, 1000, 2000) if penalty == "l2" and isinstance(loss, str) else (60, 120, 240)
    check(problem, sizes, (24, 16, 8))


@pytest.mark.validate
@pytest.mark.parametrize("loss", ["softmax", "square"])
@pytest.mark.parametrize("mixture", [isotropic(3, weights=(0.5, 0.3, 0.2)), anisotropic(40)])
def test_several_classes(loss, mixture):
    check(MixtureERM(mixture, loss, "l2", 0.1, [1.0, 2.0]), (120, 240, 480), (24, 16, 8))


def test_message_passing_has_three_agreeing_routes():
    problem = MessagePassing(blocks((0.9, 0.4), (0.5, 0.5), 0.7), "logistic", "l2", 0.2, 1.5, 6)
    evolution = op.solve(problem, StateEvolution(), progress=False)
    engine = op.solve(problem, EngineEvolution(2048, 4), progress=False)
    for name in ("Q", "m", "V", "b"):
        gap = np.abs(engine[name] - evolution[name]).values
        assert np.all(gap < 5 * engine[f"{name}_se"].values + 2e-3)
    data = op.simulate(problem, dimension=(100, 200, 400), seeds=(24, 20, 16), progress=False)
    assert op.compare(evolution, data).verdict == "pass"
    settings = (problem.mixture, "logistic", "l2", 0.2, 1.5, 6)
    naive = MessagePassing(*settings, onsager=False)
    without = op.simulate(naive, dimension=(100, 200, 400), seeds=(24, 20, 16), progress=False)
    assert op.compare(evolution, without).verdict == "fail"
