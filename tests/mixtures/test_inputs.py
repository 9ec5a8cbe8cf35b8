"""Bad input meets a typed error with a sentence that helps, before any work."""

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.mixtures import (
    CustomLoss,
    CustomPenalty,
    ElasticNet,
    MessagePassing,
    MixtureERM,
    Ridge,
    SaddlePoint,
    SampledWeights,
    TwoClusters,
    blocks,
    gaussian_mixture,
    isotropic,
)

ONE = blocks((0.5,))
EYE = np.eye(4)


def mixture(**changes):
    return gaussian_mixture(**{"means": EYE[:2], "covariances": np.stack([EYE, EYE]), **changes})


def soft(B, A, s):
    return jnp.sign(B) * jnp.maximum(jnp.abs(B) - s, 0) / A


CORRELATED = mixture(covariances=np.stack([EYE + 0.1, EYE]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: mixture(covariances=np.stack([EYE, EYE + np.triu(np.ones((4, 4)), 1)])),
         "cluster 1 is not symmetric"),
        (lambda: mixture(covariances=np.stack([EYE - 2 * np.diag(EYE[0]), EYE])),
         "cluster 0 has the eigenvalue -1"),
        (lambda: mixture(covariances=[[1.0, 1, 1, 1], [1, 1, -1, 1]]), "cluster 1"),
        (lambda: mixture(covariances=np.ones((3, 4))), "shape"),
        (lambda: mixture(means=[[1.0, np.nan, 0, 0], [0, 0, 0, 0]]), "has nan"),
        (lambda: mixture(weights=(0.5, 0.6)), "sum 1.1"),
        (lambda: mixture(weights=(1.0, 0.0)), "leave out clusters of weight 0"),
        (lambda: mixture(weights=(1.0,)), "2 clusters"),
        (lambda: mixture(labels=(0, 2)), "at most 1"),
        (lambda: mixture(labels=(0.0, 1.0)), "integer"),
        (lambda: blocks((0.5, 0.1), (0.5, 0.6)), "sum 1.1"),
        (lambda: blocks((0.5,), positive_weight=1.0), "positive_weight"),
        (lambda: isotropic(1), "at least 2"),
        (lambda: isotropic(3, geometry="cube"), "simplex"),
        (lambda: MixtureERM(ONE, alpha=0.0), "`alpha`"),
        (lambda: MixtureERM(ONE, alpha=[1.0, np.inf]), "has inf"),
        (lambda: MixtureERM(ONE, alpha=[1.0, 1.0]), "twice"),
        (lambda: MixtureERM(ONE, strength=-0.1), "`strength`"),
        (lambda: MixtureERM(ONE, "squared", "l1", strength=0.0), "`strength`"),
        (lambda: MixtureERM(ONE, "logit"), "logistic"),
        (lambda: MixtureERM(ONE, penalty="ridge"), "elastic-net"),
        (lambda: MixtureERM(ONE, "hard-margin", strength=0.1), "give strength=1"),
        (lambda: MixtureERM(ONE, class_weights=(1.0,)), "2 classes"),
        (lambda: ElasticNet(1.5), "l1_ratio"),
        (lambda: SaddlePoint(tolerance=0.0), "tolerance"),
        (lambda: SaddlePoint(nodes=1), "nodes"),
        (lambda: SampledWeights(replicates=1), "replicates"),
        (lambda: SampledWeights(tolerance=0.0), "tolerance"),
        (lambda: CustomLoss(lambda y, z: jnp.cos(y * z)), "not convex"),
        (lambda: CustomLoss(lambda y, z: (y - z) ** 2 / 2, prox=lambda y, omega, V: omega),
         "not the minimiser"),
        (lambda: CustomPenalty(lambda w: -(w**2), lambda B, A, s: B), "not convex"),
        (lambda: CustomPenalty(lambda w: w**2 / 2, lambda B, A, s: B / A), "not the minimiser"),
        (lambda: op.mixtures.bayes_error(ONE, 0.0), "`alpha`"),
    ],
)  # fmt: skip
def test_invalid_values(make, words):
    with pytest.raises(InvalidProblem, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MixtureERM(isotropic(3), "logistic"), "two classes"),
        (lambda: MixtureERM(isotropic(3), "hinge"), "two classes"),
        (lambda: MixtureERM(isotropic(3), "softmax", "l1"), "one output"),
        (lambda: MixtureERM(isotropic(3), "squared", "elastic-net"), "one output"),
        (lambda: MixtureERM(CORRELATED, "squared", CustomPenalty(jnp.abs, soft)),
         "diagonal in the coordinates"),
        (lambda: MessagePassing(CORRELATED, "squared", "l1"), "diagonal covariances"),
        (lambda: op.solve(MixtureERM(CORRELATED, "squared", "l1"), SaddlePoint(), progress=False),
         "SampledWeights"),
        (lambda: op.solve(MixtureERM(ONE, "squared", "l1"), SampledWeights(), progress=False),
         "use SaddlePoint"),
        (lambda: MixtureERM(ONE, "squared", np.eye(4)), "Gamma"),
        (lambda: op.solve(MixtureERM(ONE, "hinge"), Ridge(), progress=False), "square loss"),
        (lambda: op.solve(MixtureERM(isotropic(2)), TwoClusters(), progress=False), "opposite"),
        (lambda: op.mixtures.bayes_error(blocks((0.5, 0.1), (0.5, 0.5)), 1.0), "spherical"),
    ],
)  # fmt: skip
def test_unsupported_combinations(make, words):
    with pytest.raises(UnsupportedCombination, match=words):
        make()


def test_long_means_are_questioned():
    with pytest.warns(UserWarning, match="norms of order 1"):
        gaussian_mixture(np.ones((2, 2000)), 1.0)


def test_experiments_refuse_impossible_sizes():
    problem = MixtureERM(ONE, "squared", alpha=0.01)
    with pytest.raises(InvalidProblem, match="fewer samples than classes"):
        op.simulate(problem, dimension=50, seeds=2, progress=False)
    with pytest.raises(InvalidProblem, match=r"no argument `width`.*dimension"):
        op.simulate(problem, width=50, seeds=2, progress=False)
    full = mixture(covariances=np.stack([EYE + 0.1, np.diag([1.0, 2.0, 3.0, 4.0])]))
    with pytest.raises(InvalidProblem, match="multiple"):
        op.simulate(MixtureERM(full, alpha=2.0), dimension=50, seeds=2, progress=False)
