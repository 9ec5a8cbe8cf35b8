"""Networks of several layers: reference values, two routes against each other, and ensembles."""

import jax
import numpy as np
import pytest

import orderparam as op
from orderparam.engine import gram_schmidt
from orderparam.errors import CapacityExceeded, UnsupportedCombination

F = op.fluctuations
OUTPUT = {
    # Bordelon & Pehlevan's theory by an independent program: depth, gamma0, learning rate, then
    # N Var[f] at steps 0, 3, 6, 9, 12.
    (2, 1.0, 0.08): (1.0, 0.7199, 0.2403, 0.0273, 0.0020),
    (2, 3.0, 0.03): (0.1111, 0.2700, 0.5678, 0.2297, 0.0181),
    (3, 1.0, 0.05): (1.0, 1.0075, 0.5498, 0.0899, 0.0082),
}
SHIFTS = {"f": (0.0, -0.6659, -1.0188, -0.5116), "ntk": (0.0, -3.227, -5.052, -3.199)}


def one_point(depth, gamma0, learning_rate, steps, **settings):
    data = op.data.from_arrays(np.ones((1, 1)), np.ones(1))
    return F.FiniteWidth(
        op.kernels.KernelEvolution(
            op.kernels.MLP(depth, "linear"), data, gamma0=gamma0, learning_rate=learning_rate,
            steps=steps, **{"centered": False} | settings,
        )
    )  # fmt: skip


def three_points(depth, activation="tanh", steps=10, **settings):
    x = np.random.default_rng(0).standard_normal((3, 5))
    data = op.data.from_arrays(x[:2], np.array([1.0, -1.0]), x_test=x[2:])
    return F.FiniteWidth(
        op.kernels.KernelEvolution(
            op.kernels.MLP(depth, activation), data, gamma0=1.0, learning_rate=0.6, steps=steps,
            **{"centered": False} | settings,
        )
    )  # fmt: skip


def deviation(found, other, name):
    """Relative root mean square deviation over all entries."""
    a, b = found[name].values, other[name].values
    return float(np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2)))


def stated(found, other, name):
    """Stated error of `found`, as `deviation` measures."""
    error = np.hypot(found[f"{name}_se"], found[f"{name}_bias"]).values
    return float(np.sqrt(np.mean(error**2) / np.mean(other[name].values ** 2)))


@pytest.mark.parametrize(
    "setting",
    [(2, 1.0, 0.08), *(pytest.param(s, marks=pytest.mark.validate) for s in list(OUTPUT)[1:])],
)
def test_deep_linear_networks_have_their_known_variances(setting):
    solution = op.solve(one_point(*setting, 13), F.DeepLinear(shift=False), progress=False)
    assert solution["f_nvar"].values.ravel()[::3] == pytest.approx(OUTPUT[setting], abs=6e-5)
    by_layer = solution["f_nvar_layer"]
    assert by_layer.sum("source").values == pytest.approx(solution["f_nvar"].values)


@pytest.mark.validate
def test_deep_linear_networks_have_their_known_shifts():
    solution = op.solve(one_point(2, 1.0, 0.08, 10), F.DeepLinear(), progress=False)
    for name, known in SHIFTS.items():
        found = solution[f"{name}_shift"].values.ravel()[::3]
        assert found == pytest.approx(known, abs=1e-3)
        assert np.all(found[1:] < 0)  # networks lag behind their limit


@pytest.mark.validate
def test_one_layer_is_the_same_by_both_algebraic_routes():
    problem = one_point(1, 1.0, 0.05, 13)
    ours = op.solve(problem, F.DeepLinear(), progress=False)
    other = op.solve(problem, F.Influence(nodes=12), progress=False)
    for name in ("f_nvar", "ntk_nvar", "f_shift", "ntk_shift", "loss_shift"):
        assert ours[name].values == pytest.approx(other[name].values, abs=1e-9)


@pytest.mark.validate
def test_particles_agree_with_the_algebraic_route_and_not_without_projection(monkeypatch):
    problem = one_point(2, 1.0, 0.08, 7)
    exact = op.solve(problem, F.DeepLinear(shift=False), progress=False)
    method = F.LayeredInfluence(shift=False, accuracy=0.2)
    sampled = op.solve(problem, method, progress=False)
    for name in ("f_nvar", "ntk_nvar"):
        error = stated(sampled, exact, name)
        assert error < 0.12
        assert deviation(sampled, exact, name) < 3 * error
    # Images without the projection on what is known: the term that only finite width has.
    jax.clear_caches()
    monkeypatch.setattr(gram_schmidt, "outside", lambda drawn, directions, space: drawn)
    wrong = op.solve(problem, method, progress=False)
    assert deviation(wrong, exact, "f_nvar") > 0.5
    assert deviation(wrong, exact, "ntk_nvar") > 0.25
    jax.clear_caches()


@pytest.mark.validate
@pytest.mark.parametrize(("depth", "centered"), [(2, False), (2, True), (3, False)])
def test_trained_networks_scatter_as_predicted(depth, centered):
    problem = three_points(depth, centered=centered)
    theory = op.solve(problem, F.LayeredInfluence(shift=False), progress=False)
    networks = op.simulate(problem, width=[128], seeds=[1000], progress=False)
    for name in ("f", "Phi", "G", "ntk"):
        measured = networks[f"{name}_nvar"].isel(width=0).mean("seed")
        predicted = theory[f"{name}_nvar"].transpose(*measured.dims)
        gap = np.sqrt(np.mean((measured - predicted) ** 2) / np.mean(predicted**2))
        assert float(gap) < 0.1, name  # the ensemble's own error is 5-9 %


@pytest.mark.validate
def test_mean_shifts_of_particles_are_those_of_the_algebra():
    problem = one_point(2, 1.0, 0.08, 10)
    exact = op.solve(problem, F.DeepLinear(), progress=False)
    sampled = op.solve(problem, F.LayeredInfluence(shift=True, accuracy=0.2), progress=False)
    for name in ("f_shift", "ntk_shift", "loss_shift"):
        assert deviation(sampled, exact, name) < min(0.1, 3 * stated(sampled, exact, name))


@pytest.mark.validate
def test_layers_of_a_residual_network_share_their_neurons():
    data = op.data.from_arrays(np.array([[1.0, 0.5], [-0.3, 1.2]]), np.array([1.0, -1.0]))
    evolution = op.kernels.KernelEvolution(
        op.kernels.ResNet(2, "tanh"), data, gamma0=1.0, learning_rate=0.2, steps=3, centered=True
    )
    method = F.LayeredInfluence(shift=False, accuracy=0.2)
    problem = F.FiniteWidth(evolution)
    theory = op.solve(problem, method, progress=False)
    assert theory["f_nvar_layer"].sizes["source"] == 1
    networks = op.simulate(problem, width=[256], seeds=[2000], progress=False)
    measured = networks["f_nvar"].isel(width=0)
    error = np.hypot(measured.std("seed") / 2000**0.5, theory.error("f_nvar"))
    gap = np.abs(measured.mean("seed") - theory["f_nvar"])
    # Corrections of relative order 1/N besides what either states.
    assert bool((gap < 4 * error + 0.02 * theory["f_nvar"].max()).all())


def test_what_layers_do_not_carry_is_refused_by_name():
    with pytest.raises(UnsupportedCombination, match="relu"):
        op.solve(three_points(2, "relu"), F.LayeredInfluence(), progress=False)
    with pytest.raises(UnsupportedCombination, match="tanh"):
        op.solve(three_points(2), F.DeepLinear(), progress=False)
    data = op.data.gaussian(count=24, dimension=40, seed=1)
    many = F.FiniteWidth(op.kernels.KernelEvolution(op.kernels.MLP(2, "tanh"), data, steps=6))
    with pytest.raises(CapacityExceeded, match="raise `samples`"):
        op.solve(many, F.LayeredInfluence(256, 2), progress=False)
