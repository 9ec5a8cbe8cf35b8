"""Derivatives of the solution of the equations, by the implicit function theorem.

With the equations `F(x, theta) = x`, `dx = (1 - dF/dx)^-1 dF/dtheta dtheta`. The unknowns are the
entries of the overlaps themselves, each symmetric matrix by its upper half: the variables of the
iteration are scaled to be solved in, not to be differentiated.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from orderparam.mixtures.model.losses import Field
from orderparam.mixtures.theory.equations import Overlaps, Point, Setup, image, unpack
from orderparam.numerics.linear import solve


@eqx.filter_jit
def implicit_slopes(
    setup: Setup, theta: Float[Array, "2"], packed: Float[Array, " unknown"]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Quantities and their total derivatives by theta = (log alpha, log strength)."""
    K, L = setup.codes.shape
    flat = _flatten(unpack(packed, K, L))

    def gap(flat: Array, theta: Array) -> Array:
        x = _restore(flat, K, L)
        done = image(setup, Point(*jnp.exp(theta)), x)
        new = Overlaps(done.weights.V, done.weights.Q, done.weights.m, x.b)
        rest = jnp.sum(done.hats.m, axis=0) if setup.fit_bias else x.b
        return jnp.concatenate([(_flatten(new) - flat)[: len(flat) - L], rest])

    by_state = jax.jacfwd(gap)(flat, theta)
    by_theta = jax.jacfwd(gap, argnums=1)(flat, theta)
    moved = solve(by_state, -by_theta)
    values = _quantities(setup, flat, theta)
    direct = jax.jacfwd(lambda t: _quantities(setup, flat, t))(theta)
    through = jax.jacfwd(lambda f: _quantities(setup, f, theta))(flat)
    return values, {name: direct[name] + through[name] @ moved for name in values}


def _quantities(setup: Setup, flat: Array, theta: Array) -> dict[str, Array]:
    K, L = setup.codes.shape
    x, point = _restore(flat, K, L), Point(*jnp.exp(theta))
    done = image(setup, point, x)

    def cluster(Q: Array, m: Array, code: Array) -> tuple[Array, Array]:
        field = Field(m + x.b, Q, jnp.eye(L), code)
        error = norm.cdf(-jnp.sign(code[0]) * field.mean[0] / jnp.sqrt(Q[0, 0]))
        return setup.loss.test_loss(field, setup.nodes, setup.node_weights), error

    losses, errors = jax.vmap(cluster)(x.Q, x.m, setup.codes)
    found = {
        "train_loss": done.train_loss,
        "test_loss": (setup.test_weights * setup.importance) @ losses,
        "energy": point.alpha * done.train_loss + point.strength * done.weights.penalty,
        "norm": done.weights.norm,
    }
    return found if L > 1 else {**found, "test_error": setup.test_weights @ errors}


def _flatten(x: Overlaps) -> Float[Array, " entry"]:
    rows, columns = jnp.triu_indices(x.b.shape[0])
    parts = [x.V[:, rows, columns].ravel(), x.Q[:, rows, columns].ravel(), x.m.ravel(), x.b]
    return jnp.concatenate(parts)


def _restore(flat: Float[Array, " entry"], K: int, L: int) -> Overlaps:
    rows, columns = jnp.triu_indices(L)
    size = K * len(rows)

    def matrix(entries: Array) -> Array:
        entries = entries.reshape(K, -1)
        half = jnp.zeros((K, L, L)).at[:, rows, columns].set(entries)
        return half + half.mT - half * jnp.eye(L)

    V, Q = matrix(flat[:size]), matrix(flat[size : 2 * size])
    return Overlaps(V, Q, flat[2 * size : -L].reshape(K, L), flat[-L:])
