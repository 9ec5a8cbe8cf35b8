"""The action of deep linear networks: known values, and the algebra of seeds with its readout."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.errors import NotConverged, UnsupportedCombination
from orderparam.fluctuations.methods import action as module
from orderparam.fluctuations.theory.action import propagator as propagator_module
from orderparam.fluctuations.theory.action.propagator import propagator
from orderparam.fluctuations.theory.action.saddle import saddle, training_of
from orderparam.fluctuations.theory.modes import answers, limit
from orderparam.fluctuations.theory.starts import linear
from orderparam.kernels import KernelProgram
from orderparam.support.settings import library_settings

F = op.fluctuations
QUIET = {"progress": False}
ONE = op.data.Data([[1.0]], [1.0])
KNOWN = {
    # depth, gamma0, learning rate: N Var Delta at steps 3, 6, 9, N Var Phi^L at step 9 or None.
    (2, 1.0, 0.08): ((0.43307, 0.24843, 0.03624), None),
    (2, 2.0, 0.05): ((0.30270, 0.45487, 0.06753), 13.269),
}


def problem(depth=2, gamma0=1.0, rate=0.08, steps=10, data=ONE, activation="linear", **settings):
    network = op.kernels.MLP(depth, activation)
    evolution = op.kernels.KernelEvolution(
        network, data, gamma0=gamma0, learning_rate=rate, steps=steps, **settings
    )
    return F.FiniteWidth(evolution)


@functools.cache
def solved(setting):
    return op.solve(problem(*setting), F.Action(accuracy=0.5), **QUIET)


@pytest.mark.parametrize("setting", KNOWN)
def test_the_action_has_its_known_variances(setting):
    """Claim 16, as the algebra of seeds has them to all digits."""
    theory, (known, last) = solved(setting), KNOWN[setting]
    assert theory["Delta_nvar"].values[[3, 6, 9], 0] == pytest.approx(known, abs=6e-6)
    assert theory.diagnostics["gradient"] < 1e-12
    assert theory.diagnostics["smallest_eigenvalue"] > -1e-10
    assert "gradient of the action" in theory.message
    assert "f_nvar_layer" not in theory
    if last is not None:
        assert float(theory["Phi_nvar"][9, 1, 0, 0]) == pytest.approx(last, abs=6e-4)


class KernelReadout(KernelProgram):
    """Training whose predictions move by the tangent kernel instead of being read out."""

    def start(self, state):
        count = self.inputs.shape[0]
        return super().start(state).keep("shown", None, jnp.zeros((count, 1)))

    def predictions(self, state, t, phi):
        return state, state.vectors["shown"]

    def step(self, state, t):
        state, observed, fields = super().step(state, t)
        f, train = observed["f"], self.y.shape[0]
        push = observed["ntk"][:, :train] @ (self.y - f[:train]) / train
        return state.keep("shown", None, f + self.rates[t] * push), observed, fields


@pytest.mark.parametrize(
    "setting", [(2, 1.0, 0.08, 7), pytest.param((3, 1.5, 0.05, 12), marks=pytest.mark.validate)]
)
def test_the_algebra_of_seeds_agrees_with_the_action(setting):
    """Claim 16: derivatives by Gram matrices of seeds, which know of no action."""
    evolution, steps = problem(*setting).evolution, setting[-1]
    with library_settings():
        replay, _ = linear(evolution, np.arange(steps), 1e-13)
        program = replay.program
        fields = {f.name: getattr(program, f.name) for f in dataclasses.fields(program)}
        replay = dataclasses.replace(replay, program=KernelReadout(**fields))
        base = limit(replay)
        shape = replay.measure.shape
        found = answers(replay, np.eye(int(np.prod(shape))).reshape(-1, *shape))
        q = saddle(training_of(evolution, steps), setting[0])
        covariance, _ = propagator(training_of(evolution, steps), q)
    np.testing.assert_allclose(base["f"].ravel(), 1 - q.Delta, atol=1e-10)
    for index, name in ((0, "f"), (setting[0], "Phi"), (setting[0] + 1, "G")):
        layer = np.asarray(found[name]).reshape(len(found[name]), steps, -1)
        psi = layer[..., -1 if name == "Phi" else 0]
        nvar = (psi**2).sum(axis=0)
        np.testing.assert_allclose(covariance[:, index, index], nvar, rtol=1e-6, atol=1e-8)


def test_what_is_no_saddle_is_refused(monkeypatch):
    """Order parameters of gradient descent are not where this action is stationary."""
    monkeypatch.setattr(module, "saddle", lambda *args, **_: saddle(*args, kernel_readout=False))
    with pytest.raises(NotConverged, match="not stationary"):
        op.solve(problem(2, 1.0, 0.08, 10), F.Action(), **QUIET)


def test_second_responses_are_needed(monkeypatch):
    """Without d^2 S/dA dA and d^2 S/dB dB, 13.269 becomes 12.168."""
    setting = (2, 2.0, 0.05)
    whole = propagator_module._expanded

    def without(training, q):
        gradient, hessian = (np.array(a) for a in whole(training, q))
        ends = np.cumsum([0, *(np.size(part) for part in q)])
        for first, last in (ends[2:4], ends[3:5]):
            hessian[first:last, first:last] = 0.0
        return gradient, hessian

    monkeypatch.setattr(propagator_module, "_expanded", without)
    wrong = op.solve(problem(*setting), F.Action(accuracy=0.5), **QUIET)
    assert float(wrong["Phi_nvar"][9, 1, 0, 0]) == pytest.approx(12.168, abs=1e-3)


def test_the_contract_of_families_holds():
    assert op.check_theory(problem(2, 1.0, 0.08, 10), F.Action())[-1] == "citation"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 16}, "16 steps"),
        ({"depth": 4}, "4 hidden layers"),
        ({"activation": "tanh"}, "'tanh'"),
        ({"centered": False}, "not centered"),
        ({"data": op.data.Data([[1.0], [2.0]], [1.0, 2.0])}, "2 training"),
        ({"momentum": 0.5}, "momentum"),
    ],
)
def test_what_the_action_does_not_describe_is_refused(change, words):
    with pytest.raises(UnsupportedCombination, match=words):
        op.solve(problem(**change), F.Action(), **QUIET)
