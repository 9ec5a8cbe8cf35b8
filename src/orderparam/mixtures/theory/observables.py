"""Errors and losses from the Gaussian law of the outputs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from orderparam.mixtures.model.losses import Field, HardMargin
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.equations import Overlaps, Setup
from orderparam.mixtures.theory.fixed_point import Search
from orderparam.numerics.gaussian import sobol_normals
from orderparam.support.later import special
from orderparam.support.programs import program

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
    penalty: Float[Any, ""]
    norm: Float[Any, ""]
    active: Float[Any, ""]
    test_loss: Float[Any, ""]
    shift: Float[Any, " cluster"]


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
        table = binary_confusion(mean, Q, codes, shift)
        return Errors(table, table[None])
    factors = _roots(Q)
    xi = sobol_normals(mean.shape[1], _TEST_EXPONENT, _SCRAMBLES)
    z = mean[:, None, None] + np.einsum("kij,spj->kspi", factors, xi, optimize=True)
    return _counted(z, codes)


def binary_confusion(
    mean: Float[np.ndarray, "*point cluster 1"],
    Q: Float[np.ndarray, "*point cluster 1 1"],
    codes: Float[np.ndarray, "2 1"],
    shift: Float[np.ndarray, "*point cluster"] | None = None,
) -> Float[np.ndarray, "*point cluster 2"]:
    """The confusion of `gaussian_errors` for one output, at many points at once."""
    direction = float(np.sign(codes[1, 0] - codes[0, 0]))
    level = direction * (mean[..., 0] if shift is None else mean[..., 0] + shift)
    upper = special.ndtr(level / np.sqrt(np.maximum(Q[..., 0, 0], 1e-300)))
    return np.stack([1 - upper, upper], axis=-1)


def train_errors(
    setup: Setup, x: Overlaps, mean: Float[np.ndarray, "cluster output"], codes: np.ndarray
) -> Errors:
    """Decisions on training samples of several outputs: proximal points of Sobol samples."""
    xi = sobol_normals(mean.shape[1], _TRAIN_EXPONENT, _SCRAMBLES)
    flat = xi.reshape(-1, xi.shape[2])
    omega = mean[:, None] + np.einsum("kij,pj->kpi", _roots(np.asarray(x.Q)), flat)
    V = setup.importance[:, None, None] * x.V
    h = np.asarray(_points(setup, mean, x.Q, V, omega))
    return _counted(h.reshape(len(mean), *xi.shape), codes)


def exact_rates(
    problem: MixtureERM, x: Overlaps, shift: Float[np.ndarray, "point cluster"]
) -> tuple[np.ndarray, np.ndarray]:
    """Confusion, and by columns the test error, the training error and no standard errors."""
    mixture, mean = problem.mixture, x.m + x.b[:, None]
    test, train = (binary_confusion(mean, x.Q, problem.codes, s) for s in (None, shift))
    own = (slice(None), np.arange(mixture.clusters), mixture.labels)
    none = np.zeros(len(mean))
    rates = (1 - test[own] @ problem.test_weights, none, 1 - train[own] @ mixture.weights, none)
    return test, np.stack(rates, axis=1)


def sampled_rates(problem: MixtureERM, setup: Setup, x: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Confusion, and by columns test and training errors, each followed by its standard error."""
    mixture, codes = problem.mixture, problem.codes
    rates = np.zeros((len(x.b), 4))
    confusion = np.zeros((len(x.b), mixture.clusters, mixture.classes))
    for i, (V, Q, m, b) in enumerate(zip(*x, strict=True)):
        test = gaussian_errors(m + b, Q, codes)
        train = train_errors(setup, Overlaps(V, Q, m, b), m + b, codes)
        confusion[i] = test.confusion
        rates[i] = (
            *test.rate(problem.test_weights, mixture.labels),
            *train.rate(mixture.weights, mixture.labels),
        )
    return confusion, rates


@program
def _points(setup: Setup, mean: Array, Q: Array, V: Array, omega: Array) -> Array:
    def cluster(mean: Array, Q: Array, V: Array, code: Array, omega: Array) -> Array:
        return setup.loss.points(Field(mean, Q, V, code), omega)

    return jax.vmap(cluster)(mean, Q, V, setup.codes, omega)


def averages(setup: Setup, ended: Search) -> Averages:
    """What follows from a point where the iteration ended."""
    x = ended.overlaps

    def cluster(V: Array, Q: Array, m: Array, code: Array) -> tuple[Array, Array]:
        field = Field(m + x.b, Q, V, code)
        loss = setup.loss.test_loss(field, setup.nodes, setup.node_weights)
        return loss, V[0, 0] * setup.loss.force_at_zero(code) * jnp.sign(code[0])

    test, shift = jax.vmap(cluster)(x.V, x.Q, x.m, setup.codes)
    if isinstance(setup.loss, HardMargin):
        test = jnp.full_like(test, jnp.inf)
    test = (setup.test_weights * setup.importance) @ test
    train_loss, penalty, norm, active = ended.sides
    return Averages(train_loss, penalty, norm, active, test, setup.importance * shift)


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
