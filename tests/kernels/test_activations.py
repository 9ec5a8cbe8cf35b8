"""The activations and the network: values, derivatives, names and what they refuse."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from orderparam.errors import InvalidProblem
from orderparam.kernels.model.network import MLP
from orderparam.numerics.activations import Activation, activation, scaled_tanh
from orderparam.support.arguments import integer

_H = np.array([-2.0, -0.3, 0.1, 0.7, 3.0])
_VALUES = {
    "tanh": np.tanh(_H),
    "erf": scipy.special.erf(_H),
    "relu": np.maximum(_H, 0),
    "relu_normalized": math.sqrt(2) * np.maximum(_H, 0),
    "softplus": np.log1p(np.exp(_H)),
    "gelu": _H * scipy.special.ndtr(_H),
    "linear": _H,
    "scaled_tanh(0.8)": np.tanh(0.8 * _H) / 0.8,
}


@pytest.mark.parametrize("name", list(_VALUES))
def test_named_activations_keep_double_precision(name: str):
    phi = activation(name)
    with jax.enable_x64(True):
        h = jnp.asarray(_H)
        values, slopes = np.asarray(phi(h)), np.asarray(phi.derivative(h))
        numeric = np.asarray((phi(h + 1e-5) - phi(h - 1e-5)) / 2e-5)
    assert values.dtype == slopes.dtype == np.float64
    np.testing.assert_allclose(values, _VALUES[name], rtol=2e-15, atol=1e-15)
    np.testing.assert_allclose(slopes, numeric, atol=1e-9)
    assert phi(jnp.zeros(2, jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize("name", list(_VALUES))
def test_smoothness_and_linearity_are_known(name: str):
    phi = activation(name)
    assert phi.smooth == ("relu" not in name)
    assert phi.linear == (name == "linear")
    assert activation(phi.config()) == phi
    # A function of the user with the same values must be judged the same.
    assert activation(lambda h: phi.function(h)).smooth == phi.smooth


def test_functions_are_told_apart_by_their_values():
    def mine(h):
        return jnp.sin(h)

    first, again = activation(mine), activation(mine)
    assert first == again
    assert "mine" in first.config()
    other = activation(lambda h: jnp.sin(1.001 * h))
    another = activation(lambda h: jnp.sin(1.002 * h))
    assert other.config() != another.config()
    assert activation(functools.partial(jnp.logaddexp, 0.0)).config().startswith("partial#")
    assert activation(first) is first


def test_a_scale_is_read_from_the_name():
    assert activation("scaled_tanh(0.8)") == scaled_tanh(0.8)
    assert activation(" scaled_tanh( 8e-1 ) ").config() == "scaled_tanh(0.8)"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("tahn", "Did you mean 'tanh'.*softplus"),
        ("scaled_tan(1)", "Did you mean 'scaled_tanh'"),
        ("scaled_tanh", "one positive number"),
        ("scaled_tanh(x)", "one positive number"),
        ("scaled_tanh(-1)", "finite number above 0"),
        ("scaled_tanh(nan)", "finite number above 0"),
        ("relu(2)", "takes no parameter"),
        ("", "a known name, but is ''"),
        (lambda h: jax.nn.softmax(h), "every entry alone"),
        (lambda h: h.sum(), "act entry by entry"),
        (lambda h: h.astype(jnp.float32), "float32"),
        (lambda h: np.tanh(h), "jax.numpy"),
        (lambda: 0.0, "jax.numpy"),
        (lambda h: jnp.log(h), "not finite"),
        (lambda h: jnp.sqrt(jnp.abs(h)), "not finite"),
        (lambda h: jnp.sign(h), "derivative 0"),
    ],
)
def test_bad_activations_are_refused(spec, words: str):
    with pytest.raises(InvalidProblem, match=f"(?s){words}"):
        activation(spec)


def test_the_callers_precision_is_left_alone():
    before = jax.config.jax_enable_x64
    activation(lambda h: jnp.sin(h))
    assert jax.config.jax_enable_x64 == before


def test_a_network_describes_itself():
    network = MLP(depth=2, activation="relu", weight_std=[1.0, 0.5])
    assert network.config() == {
        "kind": "MLP",
        "depth": 2,
        "activation": "relu",
        "weight_std": [1.0, 0.5],
    }
    assert MLP(3).weight_std == (1.0, 1.0, 1.0)
    assert MLP(2, "scaled_tanh(0.8)") == MLP(2, scaled_tanh(0.8), weight_std=(1.0, 1.0))
    assert isinstance(MLP(1, lambda h: jnp.sin(h)).activation, Activation)


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": 0},
        {"depth": 2, "weight_std": 0.0},
        {"depth": 2, "weight_std": math.nan},
        {"depth": 2, "weight_std": [1.0]},
        {"depth": 2, "weight_std": [1.0, -1.0]},
        {"depth": 1, "weight_std": []},
    ],
)
def test_bad_networks_are_refused(wrong: dict):
    with pytest.raises(InvalidProblem, match=r"`(depth|weight_std)`"):
        MLP(**wrong)


@pytest.mark.parametrize("value", [2.5, True, "3", None])
def test_a_depth_is_an_integer(value):
    with pytest.raises(InvalidProblem, match="integer of at least 1"):
        integer("depth", value)
