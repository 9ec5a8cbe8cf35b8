"""Structured inputs: averages bin by bin, limits in which they are the plain equations, starts."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

import orderparam as op
from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.online.evidence.measures import rebuilt
from orderparam.online.theory.flow import bins_of, fixed_of, pulls
from orderparam.online.theory.moments import State

SAMPLES = 400_000
SPECTRUM = op.online.InputSpectrum([2.0, 0.5, 0.1], [0.2, 0.5, 0.3])
LAYERS = {
    "quadratic": (np.square, lambda u: 2 * u),
    "erf_scaled": (
        lambda u: erf(u / np.sqrt(2)),
        lambda u: np.sqrt(2 / np.pi) * np.exp(-(u**2) / 2),
    ),
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
}
START = op.online.Overlaps([[1.0, 0.2], [0.2, 0.8]], [[0.3, 0.1], [-0.1, 0.4]])


def uneven(p=2, q=2):
    """Overlaps that differ from bin to bin."""
    rows = np.random.default_rng(0).standard_normal((3, p + q, 5))
    gram = rows @ rows.transpose(0, 2, 1) / 9
    return op.online.BinnedOverlaps(gram[:, :p, :p], gram[:, :p, p:], gram[:, p:, p:])


def problem(start=START, **changes):
    settings = {"learning_rate": 0.2, "duration": 4.0, "label_noise": 0.1} | changes
    return op.online.TeacherStudent(start, **settings)


def exact_pulls(task):
    with jax.enable_x64(True):
        start = task.start.flat()
        state = State(*(jnp.asarray(part) for part in (start.Q[0], start.M[0], task.A)))
        fixed = fixed_of(task, jnp.asarray(task.preactivations().flat().T), bins_of(task))
        fixed = fixed.with_teachers(tuple(part[0] for part in fixed.teachers()))
        program = jax.jit(pulls, static_argnums=2)
        return [np.asarray(part) for part in program(state, fixed, task.activation)]


@pytest.mark.parametrize("activation", list(LAYERS))
def test_pulls_of_bins_are_averages_of_increments(activation):
    start, layer = uneven(), [1.3, -0.6]
    task = problem(start, spectrum=SPECTRUM, second_layer=layer, activation=activation)
    rng, p = np.random.default_rng(1), 2
    scales = np.sqrt(SPECTRUM.variances)[:, None, None]
    parts = np.linalg.cholesky(start.gram()) @ rng.standard_normal((3, 4, SAMPLES)) * scales
    u = parts.sum(axis=0)
    value, slope = LAYERS[activation]
    e = task.A @ value(u[:p]) - task.B @ value(u[p:])
    s = slope(u[:p])
    noisy = e**2 + task.label_noise
    lengths = SPECTRUM.variances * SPECTRUM.fractions
    samples = (
        np.einsum("n,kn,bln->bkln", e, s, parts[:, :p]),
        np.einsum("n,kn,bmn->bkmn", e, s, parts[:, p:]),
        lengths[:, None, None, None] * noisy * s[:, None] * s,
    )
    for found, sample in zip(exact_pulls(task)[:3], samples, strict=True):
        error = sample.std(axis=-1) / np.sqrt(SAMPLES)
        assert (np.abs(found - sample.mean(axis=-1)) < 5 * error).all()
        # The test sees an error of 5 per cent of the largest entry.
        assert error.max() < 0.01 * np.abs(found).max()


@pytest.mark.parametrize(
    ("activation", "shares"),
    [
        ("quadratic", (0.3, 0.7)),
        *(
            pytest.param(*case, marks=pytest.mark.validate)
            for case in (("quadratic", (1.0,)), ("erf_scaled", (1.0,)), ("erf_scaled", (0.3, 0.7)))
        ),
    ],
)
def test_bins_of_unit_variance_are_the_plain_equations(activation, shares):
    """One bin, and two that start alike or not: only the sums over bins enter."""
    unit = op.online.InputSpectrum(np.ones(len(shares)), shares)
    exact = op.online.OverlapODE(rtol=1e-12, atol=1e-14)
    save = op.SavePlan(steps=5)
    schedule = (1.0, 0.5) if len(shares) == 1 else None
    settings = {"activation": activation, "schedule": schedule, "second_layer_rate": 0.3}
    plain = op.solve(problem(**settings), exact, save=save)
    binned = op.solve(problem(spectrum=unit, **settings), exact, save=save)
    for name in ("Q", "M", "A", "loss", "alignment"):
        np.testing.assert_allclose(binned[name].values, plain[name].values, atol=1e-10)
    assert binned["Q_b"].dims == ("time", "bin", "student", "student_")
    np.testing.assert_allclose(binned["Q_b"].sum("bin").values, plain["Q"].values, atol=1e-10)
    shares = np.array(shares)[:, None, None]
    np.testing.assert_allclose(binned["M_b"].values[0], shares * START.M, atol=1e-12)


def test_students_of_fixed_norm_keep_it_in_all_bins_together():
    start = op.online.Overlaps(np.eye(2), START.M)
    task = problem(start, spectrum=SPECTRUM, spherical=True, weight_decay=0.3)
    theory = op.solve(task, save=op.SavePlan(steps=3))
    sums = np.diagonal(theory["Q_b"].sum("bin").values, axis1=1, axis2=2)
    np.testing.assert_allclose(sums, 1.0, atol=1e-8)
    assert np.ptp(np.diagonal(theory["Q_b"].values[:, 0], axis1=1, axis2=2)) > 0.01


def test_starts():
    rng = np.random.default_rng(0)
    w, t = rng.standard_normal((2, 100)), rng.standard_normal((3, 100))
    found = op.online.binned_overlaps_of(w, t, SPECTRUM)
    plain = op.online.overlaps_of(w, t)
    np.testing.assert_allclose(found.M.sum(axis=0), plain.M)
    np.testing.assert_allclose(found.Q[1], w[:, 20:70] @ w[:, 20:70].T / 100)
    scales = np.repeat(SPECTRUM.variances, [20, 50, 30])
    np.testing.assert_allclose(found.total(SPECTRUM).M, (w * scales) @ t.T / 100)
    even = op.online.spread_overlaps(plain, SPECTRUM)
    np.testing.assert_allclose(even.total(SPECTRUM).Q, SPECTRUM.mean * plain.Q)
    many = op.online.random_binned_overlaps(2, 1, 50, SPECTRUM, 4000, norm=2.0)
    np.testing.assert_allclose(many.norms().mean(axis=0), 2.0, atol=5 * 2 * np.sqrt(2 / 50 / 4000))
    variance = 2.0 * SPECTRUM.fractions / 50
    np.testing.assert_allclose(many.M.var(axis=0)[:, 0, 0], variance, rtol=0.12)
    assert many.draws == 4000
    assert not np.allclose(many.M[:, 0], many.M[:, 1])


def test_bins_at_finite_size():
    assert SPECTRUM.sizes(10).tolist() == [2, 5, 3]
    assert SPECTRUM.sizes(11).tolist() == [2, 6, 3]
    law = op.online.power_law_inputs(1.5, bins=40, smallest=1e-3)
    assert law.mean == pytest.approx(1.0)
    ranks = np.cumsum(law.fractions) - law.fractions / 2
    slope = np.polyfit(np.log(ranks[1:]), np.log(law.variances[1:]), 1)[0]
    assert slope == pytest.approx(-1.5, abs=0.01)
    # Each bin has the mean of the law over its ranks.
    x = np.linspace(1e-3, 1.0, 400001)
    level = np.trapezoid(x**-1.0, x) + 1.0
    exact = op.online.power_law_inputs(1.0, bins=2, smallest=1e-3)
    assert exact.variances[0] == pytest.approx(1e3 / level, rel=1e-4)


def test_formulas_of_unit_variance_refuse_a_spectrum():
    task = problem(spectrum=SPECTRUM)
    formulas = (
        op.online.isotropic, op.online.escape_law, op.online.selected_solution,
        op.online.critical_learning_rate,
        lambda p: op.online.hessian_spectrum(p, dimension=10),
        lambda p: op.online.conserved_matrix(
            p, np.zeros(1), np.ones((1, 1, 1)), np.ones((1, 1, 1)), np.eye(1)
        ),
    )  # fmt: skip
    for formula in formulas:
        with pytest.raises(UnsupportedCombination, match="spectrum"):
            formula(task)


def test_a_problem_with_bins_survives_its_configuration():
    task = problem(uneven(), spectrum=SPECTRUM)
    theory = op.solve(task, save=op.SavePlan(steps=2))
    again = rebuilt(theory)
    stored = json.loads(json.dumps(again.config()))
    assert stored["spectrum"] == SPECTRUM.config()
    np.testing.assert_allclose(again.start.Q, task.start.Q)
    np.testing.assert_array_equal(theory["input_variance"].values, SPECTRUM.variances)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: op.online.InputSpectrum([1.0, -1.0]), "variances"),
        (lambda: op.online.InputSpectrum([1.0, 2.0], [0.5]), "fractions"),
        (lambda: op.online.InputSpectrum([1.0, 2.0], [0.5, 0.4]), "sum"),
        (lambda: op.online.InputSpectrum([]), "one or more"),
        (lambda: op.online.power_law_inputs(-1.0), "exponent"),
        (lambda: op.online.power_law_inputs(1.0, bins=1), "bins"),
        (lambda: problem(uneven()), "no `spectrum`"),
        (lambda: problem(uneven(), spectrum=op.online.InputSpectrum([1.0])), "1 bins"),
        (lambda: op.online.BinnedOverlaps(np.ones((1, 1, 1)), np.ones((2, 1, 1)), [[[1]]]), "fit"),
        (
            lambda: op.online.BinnedOverlaps(np.ones((1, 1, 1)), [[[1.5]]], np.ones((1, 1, 1))),
            "eigenvalue",
        ),
        (lambda: problem(spectrum=SPECTRUM, spherical=True), "Q_kk"),
        (
            lambda: op.simulate(problem(spectrum=SPECTRUM), dimension=15, seeds=1),
            "smallest bin has 3",
        ),
        (
            lambda: op.simulate(
                problem(spectrum=SPECTRUM), dimension=40, seeds=1, inputs=np.eye(40)
            ),
            "inputs of its own",
        ),
    ],
)
def test_bad_bins_are_refused(make, words):
    with pytest.raises(InvalidProblem, match=words):
        make()
