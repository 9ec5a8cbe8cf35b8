"""Initial overlaps: from weights, drawn at random, and refused."""

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem

random = op.online.random_overlaps


def test_overlaps_of_weights():
    rng = np.random.default_rng(0)
    w, t = rng.standard_normal((3, 50)), rng.standard_normal((2, 50))
    found = op.online.overlaps_of(w, t)
    np.testing.assert_allclose(found.M, w @ t.T / 50)
    assert (found.students, found.teachers, found.draws, found.dimension) == (3, 2, None, 50)
    many = op.online.overlaps_of(np.stack([w, 2 * w]), t)
    np.testing.assert_allclose(many.Q[1], 4 * found.Q)
    assert many.draws == 2


def test_random_overlaps_have_the_law_of_weights():
    """Means and variances of M and Q against the exact ones of Wishart matrices."""
    n, draws = 40, 20000
    found = random(2, 2, n, draws, norm=2.0, teacher="gaussian")
    w = np.random.default_rng(1).standard_normal((draws, 4, n))
    direct = op.online.overlaps_of(np.sqrt(2.0) * w[:, :2], w[:, 2:])
    for name in ("Q", "M", "T"):
        a, b = getattr(found, name), getattr(direct, name)
        error = np.sqrt((a.var(0) + b.var(0)) / draws)
        assert (np.abs(a.mean(0) - b.mean(0)) < 4.5 * error).all()
        # A relative error of a variance is about sqrt(2/draws) = 1 %.
        np.testing.assert_allclose(a.var(0), b.var(0), rtol=0.07)


def test_orthogonal_rows():
    found = random(3, 2, 1000, 2000, student="orthogonal", teacher_norm=(2.0, 0.5))
    np.testing.assert_allclose(found.Q, np.broadcast_to(np.eye(3), found.Q.shape))
    np.testing.assert_allclose(found.T[0], np.diag([2.0, 0.5]))
    variance = found.M.var(0) * 1000
    np.testing.assert_allclose(variance, np.broadcast_to([2.0, 0.5], (3, 2)), rtol=0.15)


def test_huge_dimension_costs_nothing():
    found = random(4, 2, 10**12, 10)
    assert 1e-7 < np.abs(found.M).max() < 1e-5


def test_the_learning_rate_of_other_code():
    assert op.online.learning_rate_from(2e-4, 500) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: op.online.Overlaps([[1.0, 0.5], [0.4, 1.0]], [[0.1], [0.1]]), "not symmetric"),
        (lambda: op.online.Overlaps([[1.0]], [[1.5]]), r"\[\[Q, M\]"),
        (lambda: op.online.Overlaps([[-1.0]], [[0.0]]), "overlaps Q have"),
        (lambda: op.online.Overlaps([[1.0]], [[0.1]], [[1.0, 0], [0, 1]]), "do not fit"),
        (lambda: op.online.Overlaps([[np.nan]], [[0.1]]), "not finite"),
        (lambda: op.online.Overlaps([[1.0]], "text"), "real numbers"),
        (lambda: op.online.Overlaps(1.0, [[0.1]]), "axes"),
        (lambda: random(0, 1, 10), "students"),
        (lambda: random(3, 3, 5), "at least 6"),
        (lambda: random(2, 2, 10, teacher_norm=(1.0, -1.0)), "teacher_norm"),
        (lambda: random(2, 2, 10, student="gausian"), "Did you mean 'gaussian'"),
        (lambda: op.online.overlaps_of(np.ones((1, 3)), np.ones((1, 4))), "same input dimension"),
        (lambda: op.online.learning_rate_from(-1.0, 10), "framework_rate"),
    ],
)
def test_bad_overlaps_are_refused(make, words):
    with pytest.raises(InvalidProblem, match=words):
        make()
