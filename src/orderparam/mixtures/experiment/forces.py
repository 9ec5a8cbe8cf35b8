"""Forces of the samples in message passing, at the bias where they add up to zero."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.model.losses import Hinge, Loss, Squared, simplex
from orderparam.mixtures.model.proximal import softmax_prox
from orderparam.mixtures.model.smooth import Scalar, Softmax
from orderparam.numerics.linear import solve

_BIAS_STEPS = 50


@eqx.filter_jit
def balanced(
    loss: Loss,
    fit_bias: bool,
    code: Float[Array, "cluster output"],
    importance: Float[Array, " cluster"],
    cluster: Int[Array, " sample"],
    omega: Float[Array, "sample output"],
    V: Float[Array, "cluster output output"],
    guess: Float[Array, " output"],
) -> tuple[Array, Array, Array]:
    """The bias at which the forces add up to zero (Newton), with forces and slopes there."""

    def forces(b: Array) -> tuple[Array, Array]:
        def one(code: Array, c: Array, V: Array) -> tuple[Array, Array]:
            f, slope = _channel(loss, omega + b, c * V, code)
            return c * f, c * slope

        f, slope = jax.vmap(one)(code, importance, V)
        rows = jnp.arange(len(cluster))
        return f[cluster, rows], slope[cluster, rows]

    def busy(carry: tuple[Array, Array, Array]) -> Array:
        count, b, step = carry
        return (count < _BIAS_STEPS) & (jnp.abs(step).max() > 1e-13 * (1 + jnp.abs(b).max()))

    def newton(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, b, _ = carry
        f, slope = forces(b)
        curvature = slope.sum(axis=0) + 1e-12 * jnp.eye(len(b))
        step = jnp.clip(solve(curvature, f.sum(axis=0)[:, None])[:, 0], -2.0, 2.0)
        return count + 1, b + step, step

    if fit_bias:
        start = (jnp.asarray(0), guess, jnp.full_like(guess, jnp.inf))
        guess = lax.while_loop(busy, newton, start)[1]
    return guess, *forces(guess)


def _channel(loss: Loss, omega: Array, V: Array, code: Array) -> tuple[Array, Array]:
    """`f` and `-df/domega` of samples of one cluster."""
    if isinstance(loss, Squared):
        inverse = solve(jnp.eye(len(code)) + V, jnp.eye(len(code)))
        f = (code - omega) @ inverse.T
        return f, jnp.broadcast_to(inverse, (*f.shape, len(code)))
    if isinstance(loss, Hinge):
        y, v = code[0], V[0, 0]
        pull = (1 - y * omega) / v
        return y * jnp.clip(pull, 0, 1), (((pull > 0) & (pull < 1)) / v)[:, :, None]
    if isinstance(loss, Scalar):
        y, v = code[0], V[0, 0]
        h = loss.proximal(y, omega[:, 0], v)
        first, second = loss.derivatives(y, h)
        return -first[:, None], (second / (1 + v * second))[:, None, None]
    if isinstance(loss, Softmax):
        z, slope = softmax_prox(simplex(len(code) + 1), code, omega, V)
        return loss.force(code, z), jnp.moveaxis(slope, -1, 0)
    raise UnsupportedCombination(
        f"Message passing takes squared, logistic, custom, hinge and softmax losses, not "
        f"{loss.name!r}."
    )
