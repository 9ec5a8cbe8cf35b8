"""Any smooth activation: averages against closed forms and tensor quadrature, errors, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, NotConverged
from orderparam.online.evidence.measures import rebuilt
from orderparam.online.theory import erf as closed
from orderparam.online.theory.committee import erf_moments
from orderparam.online.theory.moments import Fixed, State
from orderparam.online.theory.smooth import frozen_normals, generic_moments, pair_averages
from orderparam.results import Verdict

C = np.array([[1.0, 0.3, -0.4], [0.3, 0.6, 0.2], [-0.4, 0.2, 1.7]])
START = op.online.Overlaps([[1.0, 0.2], [0.2, 0.8]], [[0.3], [-0.1]])
SAVE = op.SavePlan(steps=4)
RISING = op.kernels.activation(lambda u: jax.lax.erf(u / np.sqrt(2.0)))


def problem(activation, **changes):
    settings = {"learning_rate": 0.8, "duration": 4.0, "normalisation": "one"} | changes
    return op.online.TeacherStudent(START, activation=activation, **settings)


def tensor_averages(value, slope, curve):
    """Trapezoid rule over both pre-activations of each pair, s'' written out."""
    z = np.linspace(-9.0, 9.0, 241)
    w = np.exp(-(z**2) / 2)
    weight = np.outer(w, w) / w.sum() ** 2
    found = np.zeros((3, 3, 3))
    for i in range(3):
        for j in range(3):
            rho = C[i, j] / np.sqrt(C[i, i] * C[j, j])
            u = np.sqrt(C[i, i]) * z[:, None] + 0 * z
            v = np.sqrt(C[j, j]) * (rho * z[:, None] + np.sqrt(max(1 - rho**2, 0)) * z)
            for n, (f, g) in enumerate(((value, value), (slope, slope), (curve, value))):
                found[n, i, j] = np.sum(weight * f(u) * g(v))
    return found


def test_averages_of_pairs():
    """erf against its closed integrals to rounding, tanh against the trapezoid rule."""
    with jax.enable_x64(True):
        found = pair_averages(jnp.asarray(C), RISING)
        i, j = np.arange(3)[:, None], np.arange(3)
        exact = [
            getattr(closed, name)(jnp.asarray(C), i, j) for name in ("two", "slopes", "curvature")
        ]
        other = pair_averages(jnp.asarray(C), op.kernels.activation("tanh"))
    for part, known in zip(found, exact, strict=True):
        np.testing.assert_allclose(part, known, atol=1e-12)
    tensor = tensor_averages(
        np.tanh, lambda u: 1 / np.cosh(u) ** 2, lambda u: -2 * np.tanh(u) / np.cosh(u) ** 2
    )
    np.testing.assert_allclose(np.stack(other), tensor, atol=1e-6)


@pytest.mark.validate
def test_frozen_points_average_the_noise_within_their_error():
    Q, M, T = C[:2, :2], C[:2, 2:], C[2:, 2:]
    with jax.enable_x64(True):
        state = State(jnp.asarray(Q), jnp.asarray(M), jnp.asarray([1.0, -0.7]))
        numbers = (jnp.asarray(v) for v in (0.2, 0.0, 0.0))
        fixed = Fixed(jnp.asarray(T), jnp.asarray([1.5]), *numbers, population=False)
        program = jax.jit(generic_moments, static_argnums=2)
        sets = [jnp.asarray(frozen_normals(0, r, 1024, 3)) for r in range(16)]
        found = np.stack([program(state, fixed, RISING, points).square for points in sets])
        exact = np.asarray(erf_moments(state, fixed).square)
    error = found.std(axis=0, ddof=1) / 4
    assert (np.abs(found.mean(axis=0) - exact) < 4.5 * error).all()
    assert error.max() < 1e-3 * np.abs(exact).max()


@pytest.mark.validate
def test_erf_by_quadrature_agrees_with_erf_within_the_stated_error():
    exact = op.solve(problem("erf_scaled", label_noise=0.1), save=SAVE)
    found = op.solve(problem(RISING, label_noise=0.1), save=SAVE)
    assert found.verdict is Verdict.CONVERGED
    for name in ("Q", "M", "loss"):
        error = found[f"{name}_se"].values[1:]
        score = (found[name].values - exact[name].values)[1:] / error
        assert np.sqrt(np.mean(score**2)) < 2.5
        assert error.max() < 3e-3 * np.abs(exact[name].values).max()
    flow = op.online.OverlapODE(sgd_noise=False)
    smooth = op.solve(problem(RISING), flow, save=SAVE)
    assert "loss_se" not in smooth.dataset
    exact = op.solve(problem("erf_scaled"), flow, save=SAVE)
    for name in ("Q", "M", "loss"):
        np.testing.assert_allclose(smooth[name].values, exact[name].values, atol=1e-7)
    assert smooth.diagnostics["quadrature_error"] < 1e-12


@pytest.mark.validate
def test_one_bin_of_unit_variance_is_the_plain_route():
    few = op.online.OverlapODE(samples=64, replicates=2, rtol=1e-11, atol=1e-13)
    plain = op.solve(problem("tanh"), few, save=SAVE)
    unit = op.online.InputSpectrum([1.0])
    binned = op.solve(problem("tanh", spectrum=unit), few, save=SAVE)
    np.testing.assert_allclose(binned["Q"].values, plain["Q"].values, atol=1e-10)
    assert rebuilt(binned).activation == plain_activation("tanh")


def plain_activation(name):
    return problem(name).activation


def test_errors_above_what_was_asked_for_are_a_verdict():
    heavy = problem(lambda u: u**3 / 3, learning_rate=0.2)
    with pytest.raises(NotConverged, match="raise `samples` or `replicates`"):
        op.solve(heavy, op.online.OverlapODE(samples=2, replicates=2), save=SAVE)
    generous = op.online.OverlapODE(samples=2, replicates=2, accuracy=10.0)
    assert op.solve(heavy, generous, save=SAVE).verdict.ok


@pytest.mark.validate
def test_quadrature_that_is_too_coarse_is_a_verdict():
    steep = problem(lambda u: jnp.tanh(20 * u))
    flow = op.online.OverlapODE(sgd_noise=False)
    found = op.solve(steep, flow, save=SAVE, throw=False)
    assert found.verdict is Verdict.ERROR_TOO_LARGE
    assert found.diagnostics["quadrature_error"] > 1e-4


def test_names_of_activations():
    assert problem(op.kernels.activation("relu")).activation == "relu"
    assert problem("scaled_tanh(0.5)").config()["activation"] == "scaled_tanh(0.5)"
    assert problem(jax.lax.erf).config()["activation"].startswith("erf#")


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        ("tahn", "Did you mean 'tanh'"),
        ("relu_normalized", "activation"),
        (lambda u: jnp.where(u > 0, u, 0.1 * u), "kink"),
        (op.kernels.activation("relu_normalized"), "kink"),
        ("erf", "is called 'erf_scaled' now"),
        (jax.nn.softmax, "every entry alone"),
        (jnp.log, "not finite"),
    ],
)
def test_bad_activations_are_refused(activation, words):
    with pytest.raises(InvalidProblem, match=words):
        problem(activation)


@pytest.mark.parametrize(
    ("settings", "words"), [({"samples": 100}, "power of two"), ({"replicates": 1}, "at least 2")]
)
def test_bad_numbers_of_points_are_refused(settings, words):
    with pytest.raises(InvalidProblem, match=words):
        op.online.OverlapODE(**settings)
