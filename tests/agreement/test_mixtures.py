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
BINARY = ("squared", "logistic", "hinge", HUBER)
PENALTIES = ("l2", "l1", "elastic-net", LOPSIDED)
FULL, RUNS, FEWER = (500, 1000, 2000), (12, 6, 4), (8, 4, 3)


def label(value):
    """The name of a case of a test."""
    named = value if isinstance(value, str) else getattr(value, "label", None) or value.name
    return named.replace(" ", "-")


def altered(theory, other, names):
    """The theory with the values of another one, as if the problem were the same."""
    return Solution(
        theory.dataset.assign({name: (theory[name].dims, other[name].values) for name in names})
    )


def check(problem, dimensions, seeds, names=NAMES, **wrong):
    """The limit of the fits is the theory's, and that of no wrong one: changes of the problem."""
    fits = op.simulate(problem, dimension=dimensions, seeds=seeds, progress=False)
    theory = op.solve(problem, progress=False)
    agreement = op.compare(theory, fits, variables=names)
    print(agreement)
    assert agreement.verdict != "fail", str(agreement)
    wrong = {"stronger": {"strength": 1.5 * problem.strength}, **wrong}
    undetected = []
    for name, change in wrong.items():
        other = op.solve(problem.at(**change), progress=False)
        row = min(
            op.compare(altered(theory, other, names), fits, variables=names).table,
            key=lambda row: row.p_value,
        )
        print(f"wrong variant {name}: {row.verdict}, p = {row.p_value:.2g} of {row.variable}")
        if row.verdict != "fail":
            undetected.append(name)
    assert not undetected, f"variants that pass too: {undetected}"
    return theory, fits


@pytest.mark.parametrize(
    ("mixture", "loss", "penalty"),
    [
        pytest.param(BLOCKS, "hinge", "l2", marks=pytest.mark.validate),
        pytest.param(BLOCKS, "squared", LOPSIDED, marks=pytest.mark.validate),
        (anisotropic(20, (0.6, 0.9), weights=(0.35, 0.65)), "logistic", "l2"),
    ],
)  # fmt: skip
def test_fits_agree_and_a_wrong_theory_fails(mixture, loss, penalty):
    problem = MixtureERM(mixture, loss, penalty, 0.25, [1.0, 2.0])
    theory, fits = check(problem, (40, 80, 160), (48, 32, 24))
    if loss == "logistic":
        # The bias that a balanced mixture has is not that of this one.
        wrong = Solution(theory.dataset.assign(b=0 * theory["b"]))
        assert op.compare(wrong, fits, variables=("b",)).verdict == "fail"


@pytest.mark.validate
@pytest.mark.parametrize("penalty", PENALTIES, ids=label)
@pytest.mark.parametrize("loss", BINARY, ids=label)
def test_every_loss_with_every_penalty(loss, penalty):
    problem = MixtureERM(BLOCKS, loss, penalty, 0.25, 1.5, class_weights=(1.5, 0.8))
    seeds = RUNS if loss in ("squared", "hinge") else FEWER
    check(problem, FULL, seeds, exchanged={"class_weights": (0.8, 1.5)})


@pytest.mark.validate
@pytest.mark.parametrize("loss", ["softmax", "squared"])
@pytest.mark.parametrize(
    "mixture", [isotropic(3, weights=(0.5, 0.3, 0.2)), anisotropic(100)], ids=label
)
def test_several_classes(mixture, loss):
    check(MixtureERM(mixture, loss, "l2", 0.1, 1.5), FULL, FEWER)


@pytest.mark.validate
@pytest.mark.parametrize("loss", BINARY, ids=label)
def test_covariances_that_do_not_commute(loss):
    mixture = anisotropic(250, (0.6, 0.9), weights=(0.35, 0.65))
    check(MixtureERM(mixture, loss, "l2", 0.25, 1.5), FULL, (16, 8, 6))


@pytest.mark.validate
def test_the_hard_margin():
    """The limit of vanishing strength of separable data: no strength to get wrong."""
    problem = MixtureERM(BLOCKS, "hard-margin", "l2", 1.0, 1.0)
    names = ("test_error", "Q", "m", "b", "norm")
    fits = op.simulate(problem, dimension=FULL, seeds=(16, 10, 6), progress=False)
    theory = op.solve(problem, progress=False)
    agreement = op.compare(theory, fits, variables=names)
    print(agreement)
    assert agreement.verdict != "fail", str(agreement)
    fewer = op.solve(problem.at(alpha=0.8 * problem.alpha), progress=False)
    wrong = altered(theory, fewer, names)
    assert op.compare(wrong, fits, variables=names).verdict == "fail"


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
