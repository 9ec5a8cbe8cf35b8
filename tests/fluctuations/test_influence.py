"""Influence functions against closed forms, against each other, and against wrong variants."""

import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import UnsupportedCombination
from orderparam.fluctuations.theory.basis import mode_basis
from orderparam.fluctuations.theory.functions import eigenvalues, functions_of
from orderparam.fluctuations.theory.particles import training_of
from orderparam.fluctuations.theory.response import Population, answers, limit, together
from orderparam.fluctuations.theory.sampling import neurons, quadrature
from orderparam.support.settings import library_settings

RATE, GAMMA, STEPS = 0.1, 1.3, 12
ONE = op.data.Data([[1.0]], [1.0])
EXACT = op.fluctuations.Influence(nodes=6)
QUIET = {"progress": False}


def linear(centered, gamma0=GAMMA):
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, "linear"), ONE, gamma0=gamma0, learning_rate=RATE, steps=STEPS,
        centered=centered,
    )  # fmt: skip
    return op.fluctuations.FiniteWidth(evolution)


@functools.cache
def solved(centered):
    return op.solve(linear(centered), EXACT, **QUIET)


def exact_map(centered, readout=True):
    """f and K of a linear network with one sample close under one step, at every width.

    `readout=False` is the wrong variant that moves predictions by the kernel alone. Limits, N Var
    and mean shifts follow from the random start, N Var f = 1/gamma0^2 and N Var K = 4.
    """

    def run(first, kernel):
        def step(now, _):
            f, K = now
            delta = 1.0 - f + (first if centered else 0.0)
            bent = RATE**2 * GAMMA**2 * delta**2
            f_next = f + RATE * K * delta + (bent * f if readout else 0.0)
            shown = f - (first if centered else 0.0)
            return (f_next, K + 4 * RATE * GAMMA**2 * f * delta + bent * K), (shown, K)

        return jax.lax.scan(step, (first, kernel), None, length=STEPS)[1]

    @jax.jit
    def expanded(*at):
        return run(*at), jax.jacfwd(run, (0, 1))(*at), jax.hessian(run, (0, 1))(*at)

    value, slope, bend = expanded(0.0, 2.0)
    found = {}
    for index, name in enumerate(("f", "ntk")):
        found[name] = value[index]
        found[f"{name}_nvar"] = slope[index][0] ** 2 / GAMMA**2 + 4 * slope[index][1] ** 2
        found[f"{name}_shift"] = (bend[index][0][0] / GAMMA**2 + 4 * bend[index][1][1]) / 2
    return {name: np.asarray(value) for name, value in found.items()}


def deviation(theory, exact, names):
    return max(np.abs(theory[name].values.ravel() - exact[name]).max() for name in names)


NAMES = ("f", "ntk", "f_nvar", "ntk_nvar", "f_shift", "ntk_shift")


@pytest.mark.parametrize("centered", [True, False])
def test_a_linear_network_with_one_sample_is_exact(centered):
    with library_settings():
        exact = exact_map(centered)
    assert deviation(solved(centered), exact, NAMES) < 1e-12


def test_wrong_variants_are_seen():
    """Uncentred formulas for centred data; kernels that move predictions; a ridge in 1 - J."""
    with library_settings():
        assert deviation(solved(True), exact_map(False), ("f_nvar",)) > 0.1
        assert deviation(solved(True), exact_map(True, readout=False), ("f_nvar",)) > 1e-3
        training = training_of(linear(True).evolution, np.arange(STEPS))
        points, weights = quadrature(2, 6)
        population = Population(
            neurons(linear(True).evolution, training, points), jnp.asarray(weights)
        )
        _, paths = limit(training, population)
        shares = np.asarray(paths.shares).reshape(len(weights), STEPS)
        pushes = np.eye(STEPS).reshape(STEPS, STEPS, 1, 1)
        inverse = np.asarray(answers(training, population, pushes).u).reshape(STEPS, STEPS)

        def variance(matrix):
            return weights @ (shares @ matrix) ** 2

        right = exact_map(True)["f_nvar"]
        ridge = np.linalg.inv(np.linalg.inv(inverse) + 0.01 * np.eye(STEPS))
        assert np.abs(variance(inverse) - right).max() < 1e-12
        assert np.abs(variance(ridge) - right).max() > 1e-3


def test_the_derivative_by_the_weight_of_a_neuron_is_its_influence():
    """Reverse-mode differentiation of the whole simulation, which knows no influence function."""
    problem = linear(True)
    with library_settings():
        training = training_of(problem.evolution, np.arange(STEPS))
        points, weights = quadrature(2, 6)
        start = neurons(problem.evolution, training, points)

        def mean(weights):
            population = Population(start, weights / weights.sum())
            seen = together(training, population, jnp.zeros(training.active))[1].observed
            return seen["G"][-1, 0, 0, 0]

        influence = np.asarray(jax.jit(jax.grad(mean))(weights))
        variance = weights @ influence**2
    np.testing.assert_allclose(variance, solved(True)["G_nvar"].values.ravel()[-1], rtol=1e-10)


def test_the_kernel_scatters_otherwise_than_its_neurons():
    """Claim 18: N Cov of what neurons add to K is 4 H^2 + 4 R^2; N Var K is another number.

    H = <h_t h_s> and R = <h_t a_s>: (p_t p_s +- m_t m_s)/2, p and m the products of 1 +- eta gamma0
    Delta, which tend to exp(+- v) in gradient flow.
    """
    with library_settings():
        training = training_of(linear(True).evolution, np.arange(STEPS))
        points, weights = quadrature(2, 6)
        start = neurons(linear(True).evolution, training, points)
        found, paths = limit(training, Population(start, jnp.asarray(weights)))
        h = np.asarray(paths.saved.V)[..., 0] * np.asarray(training.seen)[0, 0]
        own = np.asarray(paths.saved.w)[..., 0] ** 2 + h**2
    apart = own - (own @ weights)[:, None]
    kappa = (apart * weights) @ apart.T
    push = RATE * GAMMA * (1 - np.asarray(found.observed["f"]).ravel()[:-1])
    p, m = (np.cumprod([1.0, *(1 + sign * push)]) for sign in (1, -1))
    H, R = ((np.outer(p, p) + sign * np.outer(m, m)) / 2 for sign in (1, -1))
    np.testing.assert_allclose(kappa, 4 * H**2 + 4 * R**2, rtol=1e-12)
    scattered = solved(True)["ntk_nvar"].values.ravel()
    np.testing.assert_allclose(scattered[0], kappa[0, 0])
    assert abs(scattered[-1] - kappa[-1, -1]) > 0.5


DATA = op.data.Data(
    [[1.0, 0.5], [-0.3, 1.2]], [1.0, -1.0], [[0.4, -0.8]], [1.0], name="two and one"
)


def two_samples(activation="tanh", gamma0=1.0, **settings):
    given = {"learning_rate": 0.3, "steps": 6, **settings}
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, activation), DATA, gamma0=gamma0, **given
    )
    return op.fluctuations.FiniteWidth(evolution)


def small(**settings):
    return op.fluctuations.Influence(
        **{"samples": 64, "replicates": 2, "accuracy": 10.0, **settings}
    )


def test_both_algorithms_agree():
    explicit, modes = (
        op.solve(two_samples(), small(algorithm=name), **QUIET) for name in ("explicit", "modes")
    )
    assert modes.diagnostics["discarded"] < 1e-6
    for name in explicit.variables:
        np.testing.assert_allclose(
            modes[name], explicit[name], atol=1e-3 * np.abs(explicit[name]).max().item() + 1e-12
        )


def test_modes_hold_what_they_say():
    rng = np.random.default_rng(0)
    weights = rng.uniform(1.0, 2.0, 200)
    weights /= weights.sum()
    smooth = rng.standard_normal((200, 12)) * 10.0 ** -np.arange(12.0)
    shares = (smooth @ np.linalg.qr(rng.standard_normal((12, 12)))[0]).reshape(200, 4, 3, 1)
    for tall in (shares, shares[:10]):
        given = weights[: len(tall)] / weights[: len(tall)].sum()
        basis = mode_basis(tall, given, 1)
        rest = tall - np.tensordot(basis.coefficients, basis.pushes, axes=1)
        left = (given @ rest.reshape(len(tall), -1) ** 2).sum()
        total = (given @ tall.reshape(len(tall), -1) ** 2).sum()
        assert len(basis.pushes) < 6
        assert basis.discarded < 1e-6
        np.testing.assert_allclose(left / total, basis.discarded, atol=1e-12)
    assert len(mode_basis(shares, weights, 8).pushes) == 8


def lazy_variance(training, population, steps, rate):
    """N Cov f of training and test samples with a frozen kernel, from the kernels of neurons.

    f - y follows (1 - eta K/P)^t y, and each neuron moves K by its own part.
    """
    with library_settings():
        start, weights = population.start, np.asarray(population.weights)
        rows = np.asarray(training.seen)
        h = np.asarray(start.V) @ rows.T
        phi, slope = np.tanh(h), 1 - np.tanh(h) ** 2
        g = slope * np.asarray(start.w)
        own = phi[:, :, None] * phi[:, None] + (rows @ rows.T) * g[:, :, None] * g[:, None]
        kernel = np.einsum("s,sij->ij", weights, own)
        y, P = np.asarray(training.y)[:, 0], len(training.y)
        value, U = np.linalg.eigh(kernel[:P, :P])
        rho, eta = 1 - rate * value / P, rate / P
        moved = U.T @ (own - kernel)[:, :P, :P] @ U
        gap = rho[:, None] - rho[None, :]

        def V(t):
            apart = np.where(np.eye(P, dtype=bool), 1.0, gap)
            off = (rho[:, None] ** t - rho[None, :] ** t) / apart
            return eta * np.where(np.eye(P, dtype=bool), np.diag(t * rho ** (t - 1.0)), off)

        def delta(t):
            return -(moved * V(t)) @ (U.T @ y) @ U.T

        out = np.zeros((steps, len(rows)))
        for t in range(steps):
            past = [U @ (rho**s * (U.T @ y)) for s in range(t)]
            change = sum((delta(s) for s in range(t)), np.zeros((len(weights), P)))
            test = eta * ((own - kernel)[:, P:, :P] @ sum(past, np.zeros(P)))
            test = test + eta * change @ kernel[:P, P:]
            psi = np.concatenate([-delta(t), test], axis=1)
            out[t] = weights @ psi**2
        return out


def test_lazy_networks_have_the_closed_form():
    problem = two_samples(gamma0=1e-6)
    method = small()
    theory = op.solve(problem, method, **QUIET)
    with library_settings():
        training = training_of(problem.evolution, np.arange(6))
        found = []
        for points in method._populations(problem, training.rows.shape[1], 0):
            start = neurons(problem.evolution, training, points[0])
            population = Population(start, jnp.asarray(points[1]))
            found.append(lazy_variance(training, population, 6, 0.3))
    closed = np.mean(found, axis=0)
    assert closed.max() > 0.05
    np.testing.assert_allclose(theory["f_nvar"], closed, atol=1e-6)
    # One sample: N Var Delta = kappa y^2 (eta t)^2 (1 - eta K)^(2t - 2), kappa = 4, K = 2.
    times = np.arange(STEPS)
    with np.errstate(divide="ignore"):
        simple = 4 * (RATE * times) ** 2 * (1 - 2 * RATE) ** (2.0 * times - 2)
    single = op.solve(linear(True, 1e-6), EXACT, **QUIET)
    np.testing.assert_allclose(single["Delta_nvar"].values.ravel(), simple, atol=1e-6)


def test_shared_seeds_find_the_shift_of_the_exact_map():
    """The remainder is of order 1/N: 3 % of the shift at N = 128, beside the standard error."""
    theory = op.solve(linear(True), op.fluctuations.SharedSeeds(128, 512), **QUIET)
    with library_settings():
        exact = exact_map(True)
    for name in ("f_shift", "ntk_shift"):
        difference = theory[name].values.ravel() - exact[name]
        error = theory[f"{name}_se"].values.ravel()
        allowed = np.hypot(3 * error, 0.03 * np.abs(exact[name]).max())
        assert (np.abs(difference) <= allowed + 1e-12).all()
        assert np.abs(exact[name]).max() > 4 * error.max()


def test_eigenvalues_bend_as_perturbed_ones_do():
    """First and second derivatives, level repulsion included, against finite differences."""
    rng = np.random.default_rng(0)
    kernel, move = (a + a.T for a in rng.standard_normal((2, 4, 4)))
    size = 1e-3
    exact = [np.linalg.eigvalsh(kernel + s * move)[::-1] for s in (-size, 0.0, size)]

    @jax.jit
    def expanded(start, direction):
        def along(step):
            return eigenvalues(start + step * direction)

        def slope(step):
            return jax.jvp(along, (step,), (1.0,))[1]

        return (along(0.0), *jax.jvp(slope, (0.0,), (1.0,)))

    with library_settings():
        value, first, second = expanded(kernel, move)
        equal = expanded(np.eye(4), move)
    np.testing.assert_allclose(value, exact[1], atol=1e-12)
    np.testing.assert_allclose(first, (exact[2] - exact[0]) / (2 * size), rtol=1e-4)
    bend = (exact[2] - 2 * exact[1] + exact[0]) / size**2
    assert np.abs(bend).min() > 0.1
    np.testing.assert_allclose(second, bend, rtol=1e-3)
    assert np.isfinite(np.asarray(equal)).all()


@pytest.mark.validate
def test_all_shifts_are_those_of_shared_seeds():
    """Claim 11: mean shifts of all quantities by two routes, one of them without derivatives."""
    problem = two_samples(steps=20)
    theory = op.solve(problem, **QUIET)
    other = op.solve(problem, op.fluctuations.SharedSeeds(128, 8192), **QUIET)
    for name in (n for n in other.variables if n.endswith("_shift")):
        parts = (theory[name].values, other[name].values)
        errors = (theory[f"{name}_se"].values, other[f"{name}_se"].values)
        apart = np.linalg.norm(parts[0] - parts[1])
        # Three standard errors, and a remainder of order 1/N.
        assert apart < 3 * np.linalg.norm(errors) + 0.05 * np.linalg.norm(parts[0]), name


def test_functions_are_those_that_networks_are_measured_by():
    problem = two_samples()
    networks = op.simulate(problem.evolution, width=8, seeds=1, precision="float64", **QUIET)
    one = networks.dataset.isel(width=0, seed=0)
    with library_settings():
        functions = jax.jit(functions_of(problem.evolution).__call__)
        for t in range(one.sizes["time"]):
            now = one.isel(time=t)
            base = {"f": now["f"].values[:, None], "Phi": now["Phi"].values, "G": now["G"].values}
            found = functions(jax.tree.map(jnp.asarray, base))
            for name, value in found.items():
                np.testing.assert_allclose(
                    np.ravel(value), np.ravel(now[name].values), rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activation": "relu"}, "kinks"),
        ({"loss": "hinge"}, "hinge"),
        ({"depth": 2}, "2 hidden layers"),
    ],
)
def test_what_is_not_carried_is_said(change, words):
    network = op.kernels.MLP(change.get("depth", 1), change.get("activation", "tanh"))
    evolution = op.kernels.KernelEvolution(network, DATA, loss=change.get("loss", "squared"))
    problem = op.fluctuations.FiniteWidth(evolution)
    with pytest.raises(UnsupportedCombination, match=words):
        op.solve(problem, op.fluctuations.Influence(64, 2), **QUIET)
    if "depth" not in change:
        assert op.fluctuations.SharedSeeds().estimate(problem, op.SavePlan()).memory > 0


def test_problems_refuse_flow_and_travel():
    flow = op.kernels.KernelEvolution(op.kernels.MLP(1), DATA, gradient_flow=True)
    with pytest.raises(UnsupportedCombination, match="gradient flow"):
        op.fluctuations.FiniteWidth(flow)
    problem = two_samples()
    assert pickle.loads(pickle.dumps(problem)).config() == problem.config()


def test_errors_above_the_accuracy_are_no_convergence():
    theory = op.solve(two_samples(), small(accuracy=1e-6), throw=False, **QUIET)
    assert theory.verdict == "error_too_large"
    assert "Raise `samples`" in theory.message
    assert max(theory.diagnostics["relative_errors"].values()) > 1e-6


def test_crossing_eigenvalues_lose_their_shift():
    """Two samples at a right angle and of equal length have one eigenvalue twice at the start."""
    square = op.data.Data([[1.0, 0.0], [0.0, 1.0]], [1.0, -0.5], [[0.4, -0.8]], [1.0])
    evolution = op.kernels.KernelEvolution(
        op.kernels.MLP(1, "tanh"), square, learning_rate=0.3, steps=6
    )
    posed = op.fluctuations.FiniteWidth(evolution)
    theory = op.solve(posed, small(accuracy=0.3), throw=False, **QUIET)
    assert "ntk_eigenvalues_shift" not in theory
    assert "ntk_eigenvalues_nvar" in theory
    assert "level repulsion diverges" in theory.message
    assert theory.diagnostics["width_eigenvalues"] > 1e3
    apart = op.solve(two_samples(), small(accuracy=0.3), throw=False, **QUIET)
    assert "ntk_eigenvalues_shift" in apart
    assert 1 < apart.diagnostics["width_eigenvalues"] < 1e3


def test_small_strengths_without_centring_are_noted():
    theory = op.solve(two_samples(gamma0=0.05, centered=False), small(), throw=False, **QUIET)
    assert "initial ones" in " ".join(theory.diagnostics["notes"])
    np.testing.assert_allclose(
        theory["f_nvar"][0], theory["Phi"].values[0, 0].diagonal() / 0.05**2, rtol=0.2
    )
