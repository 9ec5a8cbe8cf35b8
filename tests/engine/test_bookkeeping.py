"""Growth, blocks, precision, sharding and errors of the engine."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from orderparam.engine import (
    Layout,
    MatrixSpec,
    Program,
    exact_state,
    finite_state,
    known,
    missing,
    orthogonality_loss,
    ranks,
    run,
    sampled_state,
)
from orderparam.engine.normals import draw_normals
from orderparam.errors import CapacityExceeded, Diverged, InvalidProblem


class Drift(Program):
    """A nonlinear program that opens new directions at every step."""

    gain: jax.Array
    blow_up: jax.Array

    def start(self, state):
        state, x = state.normals("column", 3)
        return state.keep("x", "column", x)

    def step(self, state, t):
        x = state.vectors["x"]
        state, y = state.mv("w", x)
        state, back = state.rmv("w", jnp.tanh(y))
        state = state.update("w", jnp.full(3, 0.1))
        new = jnp.tanh(self.gain * back + x) * jnp.where(t == self.blow_up, jnp.nan, 1.0)
        return state.keep("x", "column", new), {"q": state.inner("column", new, new)}, {"x": new}


LAYOUT = Layout(("row", "column"), {"w": MatrixSpec("row", "column", 1.0, 1.0)})
GRID = np.arange(0, 24, 2)


def drift(blow_up=-1):
    return Drift(jnp.asarray(0.9), jnp.asarray(blow_up))


def fresh(capacity=64, samples=1024, tolerance=1e-6):
    return sampled_state(LAYOUT, samples, capacity, tolerance, (7,))


def test_growing_and_block_size_change_no_bit():
    program = drift()
    large = run(program, fresh(), GRID)
    blocks = run(program, fresh(), GRID, block=5, fields_at=(6, 22))
    assert np.array_equal(large.observed["q"], blocks.observed["q"])
    assert sorted(blocks.fields) == [6, 22]
    grown = run(program, fresh(capacity=32), GRID, block=5)
    assert max(grown.state.matrices["w"].core.shape) == 64
    np.testing.assert_allclose(large.observed["q"], grown.observed["q"], rtol=1e-11)
    assert ranks(grown.state) == ranks(large.state)
    assert orthogonality_loss(grown.state) < 1e-10


@pytest.mark.parametrize("slots", [0, 1, 2, None])
def test_what_a_history_leaves_out_is_known(slots):
    """Slots hold residuals that are not recorded; an exact space (`None`) has none."""
    with jax.enable_x64(True):
        settings = {"capacity": 64, "tolerance": 1e-2}
        make = exact_state if slots is None else sampled_state
        extra = {} if slots is None else {"samples": 256, "seed": (3,), "slots": slots}

        @eqx.filter_jit
        def product(state):
            state, x = state.normals("column", 3)
            before = state
            state, y = state.mv("w", x * jnp.asarray([1.0, 0.09, 0.05])[:, None])
            return before, state, jnp.trace(state.inner("row", y, y))

        before, state, kept = product(make(LAYOUT, **settings, **extra))
        assert missing(before) == 0.0
        left_out = sum([0.09**2, 0.05**2][slots or 0 :])
        total = 1 + 0.09**2 + 0.05**2
        np.testing.assert_allclose(missing(state), left_out / total, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(kept, total - left_out, rtol=1e-10)
        assert ranks(state)["w"] == (1, 0)


def test_more_coordinates_never_change_earlier_ones():
    few, many = draw_normals((1, 2), 0, 64, 256), draw_normals((1, 2), 0, 192, 256)
    assert np.array_equal(few, many[:64])
    assert np.array_equal(draw_normals((1, 2), 64, 192, 256), many[64:])
    # Blocks reuse direction numbers; unshuffled, coordinates of different blocks would be copies.
    assert np.abs(np.corrcoef(many)[:64, 64:]).max() < 6 / np.sqrt(256)
    assert not np.array_equal(few, draw_normals((1, 3), 0, 64, 256))


def test_too_many_directions_name_the_setting_to_raise():
    with pytest.raises(CapacityExceeded, match=r"Raise `samples` to at least 512"):
        run(drift(), fresh(samples=128, tolerance=1e-8), GRID)


def test_non_finite_values_name_step_and_quantity():
    with pytest.raises(Diverged, match="`q` is not finite at step 13"):
        run(drift(blow_up=13), fresh(), GRID)


def test_update_needs_products():
    state = fresh()
    with pytest.raises(InvalidProblem, match="one mv"):
        state.update("w", jnp.ones(3))
    with pytest.raises(InvalidProblem, match="one mv"):
        finite_state(LAYOUT, {"row": 8, "column": 8}, jax.random.key(0)).update("w", jnp.ones(3))


@pytest.mark.parametrize("bad", [{"variance": -1.0}, {"aspect_ratio": 0.0}, {"variance": np.inf}])
def test_impossible_matrices_are_refused(bad):
    with pytest.raises(InvalidProblem, match="must be positive and finite"):
        MatrixSpec("row", "column", **bad)
    with pytest.raises(InvalidProblem, match="uses the space"):
        Layout(("row",), {"w": MatrixSpec("row", "column")})
    with pytest.raises(InvalidProblem, match="aspect ratio"):
        finite_state(LAYOUT, {"row": 10, "column": 20}, jax.random.key(0))


@pytest.mark.validate  # kernels.batched is the fast form
def test_replicates_can_be_vmapped():
    program = drift()
    states = [sampled_state(LAYOUT, 512, 64, 1e-4, (r,)) for r in range(2)]

    @jax.jit
    def two_steps(state):
        state = program.start(state)
        state = program.step(state, jnp.asarray(0))[0].forget()
        return program.step(state, jnp.asarray(1))[1]["q"]

    together = jax.jit(jax.vmap(two_steps))(jax.tree.map(lambda *a: jnp.stack(a), *states))
    for alone, q in zip(states, together, strict=True):
        np.testing.assert_allclose(two_steps(alone), q, rtol=1e-10)


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from orderparam.engine import run, ranks, shard
from tests.engine.test_bookkeeping import drift, GRID, fresh
with jax.enable_x64(True):
    assert jax.device_count() == 2
    program = drift()
    alone = run(program, fresh(), GRID)
    state = shard(fresh(), 2)
    assert len(state.spaces["row"].basis.sharding.device_set) == 2
    both = run(program, state, GRID)
    assert ranks(alone.state) == ranks(both.state)
    np.testing.assert_allclose(alone.observed["q"], both.observed["q"], rtol=1e-10)
"""


def test_samples_are_shared_between_two_devices():
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run([sys.executable, "-c", SHARDED], check=True, env=env, timeout=180)


def test_known_counts_everything_in_a_space():
    result = run(drift(), fresh(), GRID)
    rx, ry = ranks(result.state)["w"]
    # Column space: the constant, 3 normals, X (whose first 3 are those normals), the images R, and
    # what the slots of either side hold.
    side = result.state.matrices["w"].column
    held = np.sum(np.any(np.asarray(side.held) != 0, axis=1))
    assert 0 < held <= 2 * side.slots
    assert known(result.state)["column"] == 1 + rx + ry + held
