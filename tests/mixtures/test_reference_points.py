"""Published and independently computed values of the saddle-point equations."""

import jax
import numpy as np
import pytest

import orderparam as op
from orderparam.mixtures import MixtureERM, blocks, isotropic

HALVES = blocks((0.1, 0.5), (0.5, 0.5))
ONE = blocks((0.5,))


def solve(mixture, loss, penalty, strength, alpha, **settings):
    problem = MixtureERM(mixture, loss, penalty, strength, alpha, **settings)
    return op.solve(problem, progress=False)


def row(solution, index):
    names = ("V", "m", "Q", "test_error", "train_loss")
    values = [np.asarray(solution[name].values)[index] for name in names]
    # Cluster 1 lies at +mu.
    return [float(v[1] if np.ndim(v) else v) for v in values]


# The response of the hinge point is computed by other routes, all else is published.
@pytest.mark.parametrize(
    ("mixture", "loss", "penalty", "strength", "expected"),
    [
        (HALVES, "squared", "l2", 0.01, {
            0.3151020408: (17.9311, 0.538681, 0.221955, 0.126436, 6.06570e-4),
            3.0: (0.479017, 0.8519684, 0.18665920, 0.02430691, 0.04767391)}),
        (HALVES, "squared", "l1", 0.01, {
            0.01: (17.369836, 0.01856163, 0.24244008, 0.48496437, 0.00178642),
            3.0: (0.48508915, 0.85435064, 0.18898640, 0.02469185, 0.04765384)}),
        (ONE, "logistic", "l2", 0.01, {
            0.01: (49.6385334, 0.0554825, 0.0789093, 0.42171374, 0.05751831),
            3.0: (13.3353939, 4.1996485, 14.0208950, 0.13102337, 0.05858806)}),
        # V by iteration, adaptive integration and 40 digits: 1.03033171 in print has a 3 twice.
        (blocks((0.5, 0.1), (0.8, 0.2)), "hinge", "l2", 0.1, {
            3.0: (1.03031714, 1.55295608, 1.18150678, 0.07654523, 0.0351434)}),
    ],
)  # fmt: skip
def test_two_cluster_points(mixture, loss, penalty, strength, expected):
    alphas = list(expected)
    solution = solve(mixture, loss, penalty, strength, alphas)
    for index, alpha in enumerate(alphas):
        for found, known in zip(row(solution, index), expected[alpha], strict=True):
            # Half a unit of the last printed digit, of which the shortest have six.
            assert found == pytest.approx(known, rel=5e-6)
    assert solution.diagnostics["residual"] <= 1e-10


def test_unequal_clusters_and_their_bias():
    """The bias solves sum_k mhat_k = 0; the rule `b = E[h - m]` would give +3.07 here."""
    mixture = blocks((2.0,), negative_variances=(0.2,))
    solution = solve(mixture, "logistic", "l2", 0.1, 2.0)
    assert float(solution["b"]) == pytest.approx(-0.4070, abs=5e-4)
    assert float(solution["train_loss"]) == pytest.approx(0.1722, abs=1e-4)
    assert float(solution["test_error"]) == pytest.approx(0.1905, abs=1e-4)
    # The published code's rule gives -.684 and .179 here; an exact support vector machine does not.
    hinge = solve(blocks((0.9, 0.3), (0.6, 0.4), 0.35), "hinge", "l2", 0.25, 1.6)
    assert float(hinge["b"]) == pytest.approx(-0.2802, abs=1e-4)
    assert float(hinge["test_error"]) == pytest.approx(0.1562, abs=1e-4)


def test_strong_regularisation_of_balanced_and_unbalanced_clusters():
    """Balanced: the Bayes error. Unbalanced: the majority, since the bias stays finite."""
    balanced = MixtureERM(ONE, "logistic", "l2", [1e3, 1e6], 2.0)
    unbalanced = MixtureERM(
        blocks((0.5,), positive_weight=0.8), "logistic", "l2", [0.042, 1e3], 2.0
    )
    best = op.mixtures.bayes_error(ONE, 2.0)
    assert best == pytest.approx(0.1029516, abs=1e-7)
    for loss in ("squared", "logistic", "hinge"):
        errors = op.solve(balanced.at(loss=loss), progress=False)["test_error"].values
        assert np.abs(errors - best).max() < 1e-5
    errors = op.solve(unbalanced, progress=False)["test_error"].values
    assert errors == pytest.approx([0.09959, 0.2], abs=1e-5)
    assert op.mixtures.bayes_error(unbalanced.mixture, 2.0) == pytest.approx(0.07528, abs=1e-5)


def test_sparse_means_favour_l1_where_they_are_quiet():
    table = {
        (0.1, 0.5): {0.5: (0.121795, 0.136362), 2.0: (0.039114, 0.038203)},
        (0.5, 0.1): {1.0: (0.281349, 0.255065), 3.0: (0.221459, 0.215552)},
    }
    for variances, rows in table.items():
        mixture = blocks(variances, (0.5, 0.5), informative=(True, False))
        for column, penalty in enumerate(("l1", "l2")):
            errors = solve(mixture, "squared", penalty, 0.1, list(rows))["test_error"].values
            assert errors == pytest.approx([v[column] for v in rows.values()], abs=1e-6)


@pytest.mark.validate
def test_three_classes():
    one_hot = solve(isotropic(3), "squared", "l2", 0.001, [0.2, 0.497, 1.4869, 1.8828])
    known = [0.53766, 0.51670, 0.49410, 0.44853]
    assert one_hot["test_error"].values == pytest.approx(known, abs=3e-4)
    assert one_hot["train_error"].values[2:] == pytest.approx([0.01255, 0.04566], abs=3e-4)
    soft = solve(isotropic(3, geometry="simplex"), "softmax", "l2", 0.1, 2.0)
    Q = soft["Q"].values
    # In full space the constant direction is gone and Q is 1.5718... times the projector.
    assert Q[0] == pytest.approx(1.57184821 * (np.eye(3) - 1 / 3), abs=1e-6)
    assert np.abs(Q.sum(axis=2)).max() < 1e-12


def test_the_callers_precision_is_left_alone():
    with jax.enable_x64(False):
        solution = solve(HALVES, "squared", "l2", 0.1, [1.0, 2.0])  # compiled by an earlier test
        assert solution["Q"].dtype == np.float64
        assert not jax.config.jax_enable_x64
