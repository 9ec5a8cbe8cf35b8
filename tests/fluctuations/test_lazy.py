"""Lazy networks: known values, theorems on Gaussian averages, and what is refused."""

import functools

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import UnsupportedCombination
from orderparam.fluctuations.theory.lazy.descent import descent_of
from orderparam.fluctuations.theory.lazy.influences import influences_of
from orderparam.fluctuations.theory.lazy.neurons import degree_five, neurons_of, polar, root
from orderparam.fluctuations.theory.lazy.start import bends_of, start_of
from orderparam.numerics.activations import Activation, activation, values_and_slopes
from orderparam.numerics.pairs import pair_averages
from orderparam.support.settings import library_settings

F = op.fluctuations
QUIET = {"progress": False}
RATE, STEPS, ANGLE = 0.2, 60, np.pi / 3
ONE = op.data.Data([[1.0]], [1.0])
PAIR = op.data.Data(
    [[2**0.5, 0.0]], [1.0], [[2**0.5 * np.cos(ANGLE), 2**0.5 * np.sin(ANGLE)]], [0.0]
)
THREE = op.data.Data([[1.0, 0.5, 0.2], [-0.3, 1.2, -0.4]], [1.0, -1.0], [[0.4, -0.8, 0.9]], [1.0])


def lazy(data, name, depth=1, gamma0=1e-3, **settings):
    given = {"learning_rate": RATE, "steps": STEPS} | settings
    network = op.kernels.MLP(depth, name)
    return F.FiniteWidth(op.kernels.KernelEvolution(network, data, gamma0=gamma0, **given))


@functools.cache
def solved(name):
    return op.solve(lazy(PAIR, name), F.Lazy(), **QUIET)


def test_one_sample_has_its_closed_form():
    """Claim 2: N Var Delta = kappa y^2 (eta t)^2 (1 - eta K)^(2t - 2), K = 2, kappa = 12."""
    theory, t = solved("relu_normalized"), np.arange(STEPS)
    assert theory["ntk_nvar"][0, 0, 0] == pytest.approx(12.0, rel=1e-12)
    closed = 12 * (RATE * t) ** 2 * (1 - 2 * RATE) ** np.maximum(2.0 * t - 2, 0)
    np.testing.assert_allclose(theory["Delta_nvar"].values[:, 0], closed, atol=1e-12)


def test_rectifiers_on_two_samples_have_their_known_variances():
    """The test sample at an angle of 60 degrees, after training."""
    theory, cosine = solved("relu_normalized"), np.cos(ANGLE)

    def m(p, q):
        x, w = np.polynomial.legendre.leggauss(40)
        reach = np.pi - ANGLE
        a = ANGLE - np.pi / 2 + reach * (x + 1) / 2
        moment = {0: 1, 2: 2, 4: 8}[p + q] / (2 * np.pi)
        return moment * reach / 2 * w @ (np.cos(a) ** p * np.cos(a - ANGLE) ** q)

    K = 2 * m(1, 1) + 2 * cosine * m(0, 0)
    own = 4 * m(2, 2) + 8 * cosine * m(1, 1) + 12 * cosine**2 * m(0, 0) - K**2
    cross = 4 * m(3, 1) + 4 * cosine * m(2, 0) + 4 * m(1, 1) + 12 * cosine * m(0, 0) - 2 * K
    assert (K, own, cross) == pytest.approx((0.94233, 4.157, 5.378), rel=2e-4)
    known = (12 * K**2 / 4 - cross * K + own) / 4
    assert known == pytest.approx(0.4382, abs=1e-4)
    assert theory["ntk"][0, 0, 1] == pytest.approx(K, rel=1e-12)
    assert theory["ntk_nvar"][0, 0, 1] == pytest.approx(own, rel=1e-10)
    assert theory["f_nvar"][-1, 1] == pytest.approx(known, rel=1e-8)


def covariances(name, depth):
    """N Cov of all kernels of one sample, entries Phi^1 ... Phi^L, G^1 ... G^L, K."""
    with library_settings():
        evolution = lazy(ONE, name, depth).evolution
        start, total = start_of(evolution), 0.0
        sets = neurons_of(start.layers, activation(name).linear, 64, 2, 0).sets[0]
        for source, points in enumerate(sets):
            found = influences_of(start, evolution.network, source, points)
            psi = [found.Phi[..., 0, 0], found.G[..., 0, 0], found.ntk[..., 0]]
            rows = np.concatenate(psi, axis=1)
            total = total + rows.T @ (points.weights[:, None] * rows)
        return start, total


@pytest.mark.parametrize(("name", "V"), [("linear", 2.0), ("relu_normalized", 5.0)])
def test_kernels_of_layers_scatter_together(name, V):
    """N Cov[Phi^l, Phi^m] = V min(l, m), and so for G from the other end."""
    depth = 4
    _, found = covariances(name, depth)
    l = np.arange(1, depth + 1)  # noqa: E741
    least = np.minimum.outer(l, l)
    np.testing.assert_allclose(found[:depth, :depth], V * least, rtol=1e-9)
    back = found[depth : 2 * depth, depth : 2 * depth]
    np.testing.assert_allclose(back, V * least[::-1, ::-1], rtol=1e-9)


def test_tangent_kernels_of_deep_linear_networks():
    """Claims 2 and 8, before training: N Var K/K^2, 4 for one hidden layer."""
    found = [covariances("linear", depth)[1][-1, -1] / (depth + 1) ** 2 for depth in (1, 2, 3, 4)]
    assert found == pytest.approx([1, 20 / 9, 3.5, 4.8], rel=1e-9)


def score(name, H, rows, power):
    """d/dH_uu of E[phi phi] or E[phi' phi'] by the score identity, for pairs in a plane."""
    nodes, weights = polar(rows, (60, 40))
    fields = np.stack([np.asarray(a) for a in values_and_slopes(activation(name), nodes @ rows.T)])
    found = np.zeros_like(H)
    for u in range(len(H)):
        for v in range(len(H)):
            pair = [u, v] if u != v else [u]
            inverse = np.linalg.inv(H[np.ix_(pair, pair)])
            whitened = (nodes @ rows[pair].T) @ inverse[:, 0]
            weight = (whitened**2 - inverse[0, 0]) / 2
            found[u, v] = weights @ (fields[power, :, u] * fields[power, :, v] * weight)
    return found


@pytest.mark.parametrize("name", ["tanh", "relu_normalized"])
def test_averages_answer_to_covariances(name):
    """Price's theorem and the score identity, with kinks and without."""
    rows = np.array([[1.0, 0.2], [-0.4, 0.9], [0.7, -1.1]])
    H, off = rows @ rows.T, ~np.eye(3, dtype=bool)
    with library_settings():
        phi, slope, error = bends_of(activation(name), H)
        assert error < 1e-5
        np.testing.assert_allclose(
            phi.across[off], pair_averages(activation(name), H).slope[off], rtol=error
        )
        for power, bend in enumerate((phi, slope)):
            own = np.where(off, bend.own, bend.across)
            np.testing.assert_allclose(own, score(name, H, rows, power), rtol=error, atol=1e-9)
        if name == "tanh":
            steeper = Activation("slope of tanh", activation("tanh").derivative)
            bent = pair_averages(steeper, H).slope
        else:
            variance = np.diagonal(H)
            bent = 1 / (np.pi * np.sqrt(np.where(off, np.outer(variance, variance) - H**2, 1.0)))
    np.testing.assert_allclose(slope.across[off], bent[off], rtol=error)


@pytest.mark.parametrize("centered", [True, False])
def test_predictions_answer_to_the_kernel_as_retrained_ones_do(centered):
    """Momentum and a schedule, against central differences of the training itself."""
    settings = {"momentum": 0.5, "schedule": lambda t: 1 / (1 + 0.1 * t), "centered": centered}
    evolution = lazy(THREE, "tanh", steps=9, **settings).evolution
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 3, 3))
    K, dK, f0 = A @ A.T + np.eye(3), B + B.T, rng.standard_normal(3)
    K[0, 0] = K[1, 1] = 2.0
    K[0, 1] = K[1, 0] = 0.0  # two equal eigenvalues

    def train(kernel, first):
        f, v, path = first.copy(), np.zeros(3), []
        for rate in evolution.rates():
            path.append(f.copy() - (first if centered else 0.0))
            v = 0.5 * v + kernel[:, :2] @ (evolution.data.targets()[:, 0] - path[-1][:2]) / 2
            f = f + rate * v
        return np.stack(path)

    descent = descent_of(evolution, K, np.arange(9))
    np.testing.assert_allclose(descent.limit(), train(K, np.zeros(3)), atol=1e-13)
    e = 1e-5
    moved = (train(K + e * dK, e * f0) - train(K - e * dK, -e * f0)) / (2 * e)
    found = descent.answers(dK[None]) + descent.from_start(f0[None])
    np.testing.assert_allclose(found[:, 0], moved, atol=1e-8)


def test_rules_have_the_moments_that_they_claim():
    nodes, weights = degree_five(7)
    assert weights.sum() == pytest.approx(1)
    eye = np.eye(7)
    pairs = sum(np.einsum(e, eye, eye) for e in ("ij,kl->ijkl", "ik,jl->ijkl", "il,jk->ijkl"))
    fourth = np.einsum("n,ni,nj,nk,nl->ijkl", weights, *[nodes] * 4)
    np.testing.assert_allclose(fourth, pairs, atol=1e-12)
    rows = root(THREE.gram()[:2, :2])
    nodes, weights = polar(rows, (28, 10))
    h = nodes @ rows.T
    np.testing.assert_allclose(h.T @ (weights[:, None] * h), THREE.gram()[:2, :2], atol=1e-12)
    both = weights @ ((h[:, 0] > 0) & (h[:, 1] > 0))
    cosine = THREE.gram()[0, 1] / np.sqrt(THREE.gram()[0, 0] * THREE.gram()[1, 1])
    assert both == pytest.approx((np.pi - np.arccos(cosine)) / (2 * np.pi), abs=1e-12)


def test_the_contract_of_families_holds():
    """With random neurons, and the scatter of predictions before training."""
    posed = lazy(THREE, "tanh", steps=4, centered=False)
    assert op.check_theory(posed, F.Lazy(64, 2, accuracy=0.9))[-1] == "citation"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gamma0": 0.5}, r"Lower `gamma0` to 0\.082,"),
        ({"gamma0": 0.05, "name": "relu"}, "neurons cross the kinks"),
        ({"loss": "logistic"}, "logistic"),
        ({"weight_decay": 0.1}, "weight decay"),
        ({"batches": op.kernels.Batches(1)}, "minibatches"),
    ],
)
def test_what_is_not_lazy_is_refused(change, words):
    given = {"name": "tanh"} | change
    with pytest.raises(UnsupportedCombination, match=words):
        op.solve(lazy(THREE, **given), F.Lazy(64, 2), **QUIET)


@pytest.mark.validate
@pytest.mark.parametrize(
    ("name", "depth", "centered"),
    [("tanh", 1, True), ("tanh", 1, False), ("linear", 2, True), ("linear", 3, False)],
)
def test_what_is_left_out_is_below_its_estimate(name, depth, centered):
    """Methods that follow features, at strengths where these matter a little."""
    settings = {"learning_rate": 0.1, "steps": 20, "centered": centered}
    follow = (
        F.Influence(2048, 8, shift=False, accuracy=1.0) if depth == 1 else F.DeepLinear(shift=False)
    )
    for gamma0, least in ((1e-3, 0.0), (0.15, 0.02)):
        posed = lazy(THREE, name, depth, gamma0, **settings)
        theory, other = (
            op.solve(posed, F.Lazy(accuracy=1.0), **QUIET),
            op.solve(posed, follow, **QUIET),
        )
        for variable in ("f", "f_nvar", "Phi_nvar", "G_nvar", "ntk_nvar", "loss_nvar"):
            size = np.sqrt(np.mean(other[variable].values ** 2))
            apart = np.sqrt(np.mean((theory[variable].values - other[variable].values) ** 2))
            errors = [np.sqrt(np.mean(s.error(variable).values ** 2)) for s in (theory, other)]
            assert apart < 3 * np.hypot(*errors) + 1e-5 * size, variable
            assert variable != "ntk_nvar" or apart > least * size
