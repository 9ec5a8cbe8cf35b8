"""Optimisers of Optax whose updates do not follow the plan's column are refused, by any name."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest
from optax import contrib

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import Role, RoleRules, Shape
from orderparam.experts.adapters.optax_plan import (
    init_tree,
    labels,
    optax_transform,
    scaling_plan_tree,
)  # fmt: skip

RULES = RoleRules([("embed", Role("input", axes="v o")), ("head", Role("head", axes="i x"))])
PARAMS = {"embed": jnp.zeros((50, 128)), "head": jnp.zeros((128, 10))}


def plan_of(name):
    sizes = {"base": Shape(width=64), "target": Shape(width=128)}
    return scaling_plan_tree(PARAMS, RULES, optimizer=name, **sizes)


def coupled(learning_rate, eps, weight_decay):
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, eps=eps))


def disguised(learning_rate, eps):
    return optax.sgd(learning_rate)


def sgd_with_decay(learning_rate, weight_decay):
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, 0.9))


def own_decay(learning_rate):
    return sgd_with_decay(learning_rate, 0.1)


def broken(learning_rate, eps):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("adamw", optax.adamw),
        ("adam", optax.amsgrad),
        ("adamw", optax.nadamw),
        ("adamw", functools.partial(optax.adamw, b1=0.8)),
        ("sgd", functools.partial(optax.sgd, momentum=0.9, nesterov=True)),
        ("sgd", sgd_with_decay),
        ("lion", optax.lion),
        ("signsgd", optax.sign_sgd),
    ],
)
def test_optimisers_of_the_plans_kind(name, make):
    decays = "adamw" in str(make) or make is sgd_with_decay
    given = {"weight_decay": 0.1} if decays else {}
    optax_transform(plan_of(name), make, learning_rate=0.1, **given).init(PARAMS)


@pytest.mark.parametrize(
    ("name", "make", "error", "message"),
    [
        ("adamw", optax.sgd, InvalidProblem, "has no argument `eps`"),
        ("adamw", optax.lion, InvalidProblem, "has no argument `eps`"),
        ("sgd", optax.adamw, InvalidProblem, "has one"),
        ("adamw", disguised, InvalidProblem, "those of disguised do otherwise"),
        ("adamw", optax.radam, InvalidProblem, "do otherwise"),
        ("adamw", optax.rmsprop, InvalidProblem, "do otherwise"),
        ("sgd", optax.sign_sgd, InvalidProblem, "do otherwise"),
        ("lion", optax.sgd, InvalidProblem, "do otherwise"),
        ("adamw", optax.adafactor, UnsupportedCombination, "depend on the parameter"),
        ("adamw", optax.lamb, UnsupportedCombination, "depend on the parameter"),
        ("sgd", own_decay, UnsupportedCombination, "a decay of its own"),
        ("adamw", contrib.muon, UnsupportedCombination, "gradients of other entries"),
        ("adamw", optax.novograd, UnsupportedCombination, "gradients of other entries"),
        ("adamw", broken, InvalidProblem, "RuntimeError: no such thing"),
    ],
)
def test_optimisers_of_another_kind(name, make, error, message):
    with pytest.raises(error, match=message):
        optax_transform(plan_of(name), make, learning_rate=0.1)


def test_a_decay_inside_the_gradient_of_adam():
    with pytest.raises(UnsupportedCombination, match="decoupled decay"):
        optax_transform(plan_of("adamw"), coupled, learning_rate=0.1, weight_decay=0.1)


@pytest.mark.parametrize("values", [{"learning_rate": -0.1}, {"learning_rate": 0.1, "eps": 0.0}])
def test_values_that_are_refused(values):
    with pytest.raises(InvalidProblem, match="above 0"):
        optax_transform(plan_of("adamw"), optax.adamw, **values)


@pytest.mark.parametrize("given", [{"weight_decay": 0.1}, {"eps": 1e-6}, {"learning_rate": 0.3}])
def test_values_given_in_advance_would_be_dropped(given):
    make = functools.partial(optax.adamw, **given)
    with pytest.raises(InvalidProblem, match=f"was given {next(iter(given))}=.* in advance"):
        optax_transform(plan_of("adamw"), make, learning_rate=0.1)


def test_a_tree_of_another_size_and_a_key_that_means_nothing():
    plan = plan_of("sgd")
    other = {**PARAMS, "head": jnp.zeros((256, 10))}
    for use in (
        lambda: labels(plan, other),
        lambda: init_tree(jax.random.key(0), plan, other),
        lambda: optax_transform(plan, optax.sgd, learning_rate=0.1).init(other),
    ):
        with pytest.raises(InvalidProblem, match=r"'head' has shape \(256, 10\), .*\(128, 10\)"):
            use()
    with pytest.raises(InvalidProblem, match="Did you mean 'head'"):
        init_tree(jax.random.key(0), plan, PARAMS, {"haed": 0.1})
