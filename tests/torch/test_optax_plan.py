"""Plans on parameter trees of Equinox and Flax, with optimisers of Optax."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from orderparam.errors import InvalidProblem
from orderparam.experts import Role, RoleRules, Shape
from orderparam.experts.adapters.optax_plan import (
    init_tree,
    labels,
    named_leaves,
    optax_transform,
    scaling_plan_tree,
)  # fmt: skip

BASE = Shape(width=64, experts=4, expert_width=8)
TARGET = Shape(width=128, experts=8, expert_width=16)
RULES = RoleRules(
    [
        ("embed", Role("input", axes="v o")),
        ("router", Role("router", axes="i o")),
        ("up", Role("expert_in", axes="e i o")),
        ("down", Role("expert_out", axes="e i o")),
        ("gain", "final_norm_gain"),
        ("head", Role("head", axes="i x")),
    ]
)
PARAMS = {
    "embed": jnp.zeros((50, 128)),
    "router": jnp.zeros((128, 8)),
    "up": jnp.zeros((8, 128, 16)),
    "down": jnp.zeros((8, 16, 128)),
    "gain": jnp.zeros(128),
    "head": jnp.zeros((128, 10)),
}


def plan_of(**choices):
    return scaling_plan_tree(PARAMS, RULES, base=BASE, target=TARGET, **choices)


def test_initial_values():
    plan = plan_of(parameterization="mssp")
    tree = init_tree(jax.random.key(0), plan, PARAMS, {"embed": 1.0, "head": 1 / 64})
    assert float(tree["up"].std()) == pytest.approx(128**-0.5, rel=0.1)
    assert float(tree["head"].std()) == pytest.approx(1 / 128, rel=0.1)
    assert jnp.array_equal(tree["down"], jnp.broadcast_to(tree["down"][:1], (8, 16, 128)))
    assert float(tree["gain"].min()) == 1.0
    again = init_tree(jax.random.key(0), plan_of(), PARAMS)
    assert jnp.array_equal(again["up"], init_tree(jax.random.key(0), plan_of(), PARAMS)["up"])
    assert len(np.unique(np.asarray(again["up"][:, 0, 0]))) == 8


@pytest.mark.parametrize("make", [optax.sgd, optax.adamw, optax.lion])
def test_one_step_is_that_of_plain_optimisers_with_scaled_values(make):
    name = {"sgd": "sgd", "adamw": "adamw", "lion": "lion"}[make.__name__]
    plan = plan_of(optimizer=name, parameterization="mup")
    params = init_tree(jax.random.key(1), plan, PARAMS)
    gradients = jax.tree.map(lambda x: jnp.cos(3 * x) * 1e-4, params)
    decay = {} if name == "sgd" else {"weight_decay": 0.1}
    transform = optax_transform(plan, make, learning_rate=0.01, eps=1e-4, **decay)
    updates, _ = transform.update(gradients, transform.init(params), params)
    for key, update in updates.items():
        entry = plan[key]
        own = {"weight_decay": 0.1 * entry.weight_decay} if decay else {}
        if name == "adamw":
            own["eps"] = 1e-4 * entry.epsilon
        single = make(0.01 * entry.learning_rate, **own)
        expected, _ = single.update(gradients[key], single.init(params[key]), params[key])
        assert jnp.allclose(update, expected, rtol=1e-5, atol=1e-8), key


def test_schedules_are_multiplied():
    plan = plan_of(optimizer="sgd")
    schedule = optax.cosine_decay_schedule(0.1, 10, alpha=0.1)
    transform = optax_transform(plan, optax.sgd, learning_rate=schedule)
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    state = transform.init(PARAMS)
    for step in range(3):
        updates, state = transform.update(ones, state, PARAMS)
        for key, update in updates.items():
            expected = -float(schedule(step)) * plan[key].learning_rate
            assert float(update.ravel()[0]) == pytest.approx(expected, rel=1e-5)
    assert len(set(jax.tree.leaves(labels(plan, PARAMS)))) == 3


def test_mistakes():
    with pytest.raises(InvalidProblem, match="takes no weight_decay"):
        optax_transform(plan_of(optimizer="sgd"), optax.sgd, learning_rate=0.1, weight_decay=0.1)
    with pytest.raises(InvalidProblem, match="No rule gives a role to 'extra'"):
        scaling_plan_tree({**PARAMS, "extra": jnp.zeros(3)}, RULES, base=BASE, target=TARGET)
    with pytest.raises(InvalidProblem, match="has no parameter 'other'"):
        labels(plan_of(), {"other": jnp.zeros(3)})


def test_equinox_and_flax_modules():
    sizes = {"base": Shape(width=64), "target": Shape(width=128)}
    model = eqx.nn.MLP(20, 3, 128, 1, key=jax.random.key(0))
    params = eqx.filter(model, eqx.is_array)
    rules = RoleRules(
        [("layers.0.weight", "input"), ("layers.0.bias", "input_bias"),
         ("layers.1.weight", Role("head", axes="x i")), ("layers.1.bias", "head_bias")]
    )  # fmt: skip
    plan = scaling_plan_tree(params, rules, **sizes)
    assert plan["layers.1.weight"].fan_in == 128
    transform = optax_transform(plan, optax.adamw, learning_rate=0.01)

    @eqx.filter_value_and_grad
    def loss(model, x):
        return jnp.mean(jax.vmap(model)(x) ** 2)

    x = jax.random.normal(jax.random.key(1), (16, 20))
    state = transform.init(params)
    values = []
    for _ in range(5):
        value, gradients = loss(model, x)
        updates, state = transform.update(gradients, state, eqx.filter(model, eqx.is_array))
        model = eqx.apply_updates(model, updates)
        values.append(float(value))
    assert values[-1] < values[0]
    fresh = eqx.combine(init_tree(jax.random.key(2), plan, params), model)
    assert fresh.layers[0].weight.shape == (128, 20)

    flax_model = nnx.Linear(128, 3, rngs=nnx.Rngs(0))
    state = nnx.to_pure_dict(nnx.state(flax_model, nnx.Param))
    rules = RoleRules([("kernel", Role("head", axes="i x")), ("bias", "head_bias")])
    assert sorted(named_leaves(state)) == ["bias", "kernel"]
    plan = scaling_plan_tree(state, rules, **sizes)
    assert plan["kernel"].fan_in == 128
