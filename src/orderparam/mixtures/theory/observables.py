"""Errors and losses from the Gaussian law of the outputs."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.mixtures.model.losses import Field, HardMargin
from orderparam.mixtures.theory.equations import Overlaps, Point, Setup, image, unpack
from orderparam.numerics.gaussian import Rule, sobol_normals
from orderparam.support.later import special

_TEST_EXPONENT = 13
_TRAIN_EXPONENT = 11
_SCRAMBLES = 8


class Errors(NamedTuple):
    """Confusion of the clusters, `confusion[k, c] = P(decide c | cluster k)`, and its error."""

    confusion: Float[Any, "cluster class"]
    scrambles: Float[Any, "scramble cluster class"]

    def rate(
        self, weights: Float[np.ndarray, " cluster"], labels: np.ndarray
    ) -> tuple[float, float]:
        """Probability of a wrong decision and its standard error (0 where it is exact)."""
        hits = self.scrambles[:, np.arange(len(labels)), labels] @ weights
        error = hits.std(ddof=1) / np.sqrt(len(hits)) if len(hits) > 1 else 0.0
        return float(1 - hits.mean()), float(error)


class Averages(NamedTuple):
    """What follows from a solution by quadrature."""

    train_loss: Float[Any, ""]
    test_loss: Float[Any, ""]
    penalty: Float[Any, ""]
    norm: Float[Any, ""]
    active: Float[Any, ""]
    shift: Float[Any, " cluster"]


@eqx.filter_jit
def evaluate_all(
    setup: Setup, fine: Rule, points: Point, packed: Float[Array, "point unknown"]
) -> tuple[Overlaps, Averages, Float[Array, " point"]]:
    """Overlaps, what follows from them, and the residual of the equations by a finer rule."""
    refined = eqx.tree_at(lambda s: (s.nodes, s.node_weights), setup, fine)

    def one(point: Point, packed: Array) -> tuple[Overlaps, Averages, Array]:
        x = unpack(packed, *setup.codes.shape)
        return x, _averages(setup, point, x), image(refined, point, x).residual

    return jax.vmap(one)(points, packed)


def gaussian_errors(
    mean: Float[np.ndarray, "cluster output"],
    Q: Float[np.ndarray, "cluster output output"],
    codes: Float[np.ndarray, "class output"],
    shift: Float[np.ndarray, " cluster"] | None = None,
) -> Errors:
    """Decisions `argmax codes @ z` for Gaussian outputs z.

    One output: exact, from the normal tail. Several: scrambled Sobol points.

    Args:
        mean: Mean of the outputs of each cluster, bias included.
        Q: Their covariance.
        codes: Code of each class.
        shift: One output only: training outputs are positive where `z > -shift`.
    """
    if mean.shape[1] == 1:
        direction = float(np.sign(codes[1, 0] - codes[0, 0]))
        level = direction * (mean[:, 0] if shift is None else mean[:, 0] + shift)
        upper = special.ndtr(level / np.sqrt(np.maximum(Q[:, 0, 0], 1e-300)))
        table = np.stack([1 - upper, upper], axis=1)
        return Errors(table, table[None])
    factors = _roots(Q)
    xi = sobol_normals(mean.shape[1], _TEST_EXPONENT, _SCRAMBLES)
    z = mean[:, None, None] + np.einsum("kij,spj->kspi", factors, xi, optimize=True)
    return _counted(z, codes)


def train_errors(
    setup: Setup, x: Overlaps, mean: Float[np.ndarray, "cluster output"], codes: np.ndarray
) -> Errors:
    """Decisions on training samples of several outputs: proximal points of Sobol samples."""
    xi = sobol_normals(mean.shape[1], _TRAIN_EXPONENT, _SCRAMBLES)
    flat = xi.reshape(-1, xi.shape[2])
    omega = mean[:, None] + np.einsum("kij,pj->kpi", _roots(np.asarray(x.Q)), flat)
    V = setup.importance[:, None, None] * x.V
    h = np.asarray(_points(setup, jnp.asarray(mean), x.Q, V, jnp.asarray(omega)))
    return _counted(h.reshape(len(mean), *xi.shape), codes)


@eqx.filter_jit
def _points(setup: Setup, mean: Array, Q: Array, V: Array, omega: Array) -> Array:
    def cluster(mean: Array, Q: Array, V: Array, code: Array, omega: Array) -> Array:
        return setup.loss.points(Field(mean, Q, V, code), omega)

    return jax.vmap(cluster)(mean, Q, V, setup.codes, omega)


def _averages(setup: Setup, point: Point, x: Overlaps) -> Averages:
    done = image(setup, point, x)

    def cluster(V: Array, Q: Array, m: Array, code: Array) -> tuple[Array, Array]:
        field = Field(m + x.b, Q, V, code)
        loss = setup.loss.test_loss(field, setup.nodes, setup.node_weights)
        return loss, V[0, 0] * setup.loss.force_at_zero(code) * jnp.sign(code[0])

    test, shift = jax.vmap(cluster)(x.V, x.Q, x.m, setup.codes)
    if isinstance(setup.loss, HardMargin):
        test = jnp.full_like(test, jnp.inf)
    return Averages(
        done.train_loss,
        (setup.test_weights * setup.importance) @ test,
        done.weights.penalty,
        done.weights.norm,
        done.weights.active,
        setup.importance * shift,
    )


def _counted(
    z: Float[np.ndarray, "cluster scramble point output"], codes: Float[np.ndarray, "class output"]
) -> Errors:
    decided = np.argmax(z @ codes.T, axis=-1)
    shares = [(decided == c).mean(axis=2) for c in range(len(codes))]
    scrambles = np.stack(shares, axis=-1).transpose(1, 0, 2)
    return Errors(scrambles.mean(axis=0), scrambles)


def _roots(Q: Float[np.ndarray, "cluster output output"]) -> np.ndarray:
    values, vectors = np.linalg.eigh(Q)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1)
