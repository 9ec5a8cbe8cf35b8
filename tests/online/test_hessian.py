"""The Hessian of the population loss: automatic differentiation, closed counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op


def isotropic(p, q, share=0.3, dimension=10**6, duration=100.0, **settings):
    """A random orthogonal start at a share of the critical learning rate, width normalised."""
    start = op.online.random_overlaps(p, q, dimension, student="orthogonal", seed=p + 10 * q)
    rate = share * p * q / (2 * (q + 2))
    return op.online.TeacherStudent(start, learning_rate=rate, duration=duration, **settings)


def full_hessian(task, overlaps, dimension):
    """Eigenvalues of the Hessian of the loss of explicit weights, by automatic differentiation."""
    values, vectors = np.linalg.eigh(overlaps.gram())
    rows = vectors * np.sqrt(np.clip(values, 0, None))
    rows = np.pad(rows, ((0, 0), (0, dimension - len(rows))))
    U, teacher = rows[: overlaps.students], rows[overlaps.students :]
    with jax.enable_x64(True):
        A, B = jnp.asarray(task.A), jnp.asarray(task.B)

        def loss(flat):
            W = flat.reshape(U.shape)
            D = W.T @ (A[:, None] * W) - teacher.T @ (B[:, None] * teacher)
            mean = jnp.trace(D) - task.offset - task.shift * (A.sum() - B.sum())
            return mean**2 / 2 + jnp.sum(D * D)

        matrix = np.asarray(jax.hessian(loss)(jnp.asarray(U.ravel())))
        slope = np.asarray(jax.grad(loss)(jnp.asarray(U.ravel())))
    return np.linalg.eigvalsh(matrix), float(slope @ slope)


def test_hessian_equals_automatic_differentiation():
    rng = np.random.default_rng(3)
    overlaps = op.online.overlaps_of(rng.standard_normal((3, 12)), rng.standard_normal((2, 12)))
    task = op.online.TeacherStudent(
        overlaps, second_layer=[1.0, -0.4, 2.0], teacher_second_layer=[0.3, 1.1], centering=0.2
    )
    found = op.online.hessian_spectrum(task)
    expected, slope = full_hessian(task, overlaps, 12)
    np.testing.assert_allclose(np.repeat(found.values, found.multiplicity), expected, atol=1e-10)
    assert found.squared_gradient == pytest.approx(slope)


@pytest.mark.parametrize(("p", "q"), [(1, 1), (2, 2), (4, 2), (5, 3)])
def test_closed_hessian_counts(p, q):
    task = isotropic(p, q)
    numbers = op.online.isotropic(task, sgd_noise=False)
    scale = np.sqrt(numbers.b / numbers.a)
    points = {
        "origin": op.online.Overlaps(np.zeros((p, p)), np.zeros((p, q))),
        "plateau": op.online.Overlaps(numbers.plateau_norm() * np.eye(p), np.zeros((p, q))),
        "solution": op.online.Overlaps(
            scale**2 * np.diag([1.0] * q + [0.0] * (p - q)), scale * np.eye(p, q)
        ),
    }
    for dimension in (p + q + 1, 20, 10**6):
        for point, overlaps in points.items():
            found = op.online.hessian_spectrum(task, overlaps, dimension)
            table = found.table()
            closed = op.online.closed_spectrum(task, point, dimension)
            assert [n for _, n in table] == [n for _, n in closed], (point, table, closed)
            np.testing.assert_allclose(
                [v for v, _ in table], [v for v, _ in closed], atol=1e-8 * np.abs(closed).max()
            )
            assert found.squared_gradient < 1e-20
            if point == "plateau":
                assert found.negative() == p * q
            if point == "solution":
                flat = (p - q) * (dimension - q)
                assert found.negative() == 0
                assert found.zero() == op.online.manifold_dimension(p, q) + flat
