"""Errors and losses from the Gaussian law of the outputs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
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
    xi = sobol_normals(mean.shape[1], _TEST_EXPONENT, _SCRAMBLES)
    turned, level = codes @ _roots(Q), mean @ codes.T
    shares = [
        [_shares(turn @ part.T + at[:, None]) for turn, at in zip(turned, level, strict=True)]
        for part in xi
    ]
    return _errors(np.array(shares))


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
    V = setup.importance[:, None, None] * x.V
    roots = _roots(np.asarray(x.Q))
    return _errors(np.asarray(_trained(setup, mean, np.asarray(x.Q), V, roots, codes, xi)))


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
def _trained(
    setup: Setup, mean: Array, Q: Array, V: Array, roots: Array, codes: Array, xi: Array
) -> Float[Array, "scramble cluster class"]:
    """Shares of the decisions on training samples.

    The points of one scramble and cluster at a time: they stay in fast memory, and wait for the
    slowest among themselves alone.
    """

    def cluster(given: tuple[Array, ...], xi: Array) -> Float[Array, " class"]:
        mean, Q, V, root, code = given
        z = setup.loss.points(Field(mean, Q, V, code), mean + xi @ root.T)
        decided = jnp.argmax(codes @ z.T, axis=0)
        return jnp.mean(decided == jnp.arange(len(codes))[:, None], axis=1)

    given = (mean, Q, V, roots, setup.codes)
    return lax.map(lambda part: lax.map(lambda own: cluster(own, part), given), xi)


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


def _shares(logits: Float[np.ndarray, "class point"]) -> Float[np.ndarray, " class"]:
    """How often each class has the largest logit, the first of equal ones."""
    best, top = np.zeros(logits.shape[1], int), logits[0]
    for c in range(1, len(logits)):
        best[logits[c] > top] = c
        top = np.maximum(top, logits[c])
    return np.bincount(best, minlength=len(logits)) / logits.shape[1]


def _errors(scrambles: Float[np.ndarray, "scramble cluster class"]) -> Errors:
    return Errors(scrambles.mean(axis=0), scrambles)


def _roots(Q: Float[np.ndarray, "cluster output output"]) -> np.ndarray:
    values, vectors = np.linalg.eigh(Q)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.transpose(0, 2, 1)
