"""Message passing as a program of the conditioning engine: a third route to its path."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.engine import Layout, MatrixSpec, Program, State, run, sampled_state
from orderparam.errors import UnsupportedCombination
from orderparam.mixtures.methods.state_evolution import require_passing
from orderparam.mixtures.model.losses import Squared
from orderparam.mixtures.model.penalties import ElasticNet
from orderparam.mixtures.model.proximal import scalar_prox
from orderparam.mixtures.model.smooth import Scalar
from orderparam.mixtures.model.spectrum import Diagonal
from orderparam.mixtures.passing import MessagePassing
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.message_path import pack_path
from orderparam.results import Solution
from orderparam.support.arguments import integer, refuse
from orderparam.support.memory import require_numbers

_NEWTON = 30
_TOLERANCE = 1e-9
_CAPACITY = 128

_COMPILATION = 9.0
"""Seconds that compiling takes on one core, as measured."""


class EngineEvolution(Method):
    """The path of message passing by Gaussian conditioning instead of its state evolution.

    Each cluster's noise is a Gaussian matrix that is only used through products. The engine adds
    the response of each product to earlier ones, and the Onsager terms of the program take it
    away; nothing about state evolution is assumed.

    Args:
        samples: Points of each space, a power of two.
        replicates: Independent scramblings.

    Source: docs/theory/engine.md, Conditioning; docs/theory/mixtures.md, Message passing.
    """

    family: ClassVar[str] = "mixtures"
    name: ClassVar[str] = "engine"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)

    def __init__(self, samples: int = 4096, replicates: int = 4) -> None:
        self.samples = integer("samples", samples, 64)
        if self.samples & (self.samples - 1):
            raise refuse("samples", samples, "a power of two of at least 64")
        self.replicates = integer("replicates", replicates, 2)
        require_numbers("samples", 5 * _CAPACITY * self.samples)

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def estimate(self, problem: MixtureERM, save: SavePlan) -> Estimate:
        """Memory of the spaces' bases."""
        del save
        spaces = problem.mixture.clusters + 1
        memory = spaces * 5 * _CAPACITY * self.samples * 8
        return Estimate(memory, 0.1 * require_passing(problem).steps * spaces, _COMPILATION)

    def solve(self, problem: MixtureERM, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Run the program once for each scrambling."""
        del save, progress
        passing = require_passing(problem)
        steps, program = passing.steps, message_program(passing)
        began = time.perf_counter()
        runs = []
        for replicate in range(self.replicates):
            state = sampled_state(
                program.layout(), self.samples, _CAPACITY, _TOLERANCE, (seed, replicate)
            )
            runs.append(run(program, state, np.arange(steps), block=steps).observed)
        stacked = {name: np.stack([r[name] for r in runs]) for name in runs[0]}
        path = {name: values.mean(axis=0) for name, values in stacked.items()}
        errors = {
            name: values.std(axis=0, ddof=1) / np.sqrt(len(runs))
            for name, values in stacked.items()
        }
        return pack_path(problem, path, errors, self.config(), seed, began)


class MessageProgram(Program):
    """Message passing for one output and diagonal covariances, written with the engine's verbs."""

    spectrum: Diagonal
    shares: Float[Array, " cluster"]
    y: Float[Array, " cluster"]
    alpha: Float[Array, ""]
    strength: Float[Array, ""]
    damping: Float[Array, ""]
    start_norm: Float[Array, ""]
    start_response: Float[Array, ""]
    loss: Scalar | Squared = eqx.field(static=True)
    l1_ratio: float = eqx.field(static=True)

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return len(self.y)

    def layout(self) -> Layout:
        """One space of coordinates, one of the samples of each cluster, one matrix between."""
        samples = [f"cluster{k}" for k in range(self.clusters)]
        ratios = [float(r) for r in np.asarray(self.alpha * self.shares)]
        matrices = {
            f"Z{k}": MatrixSpec(name, "coordinates", aspect_ratio=ratio)
            for k, (name, ratio) in enumerate(zip(samples, ratios, strict=True))
        }
        return Layout(("coordinates", *samples), matrices)

    def start(self, state: State) -> State:
        """Draw the kinds of the coordinates, the random part of the means, and the weights."""
        factors = self.spectrum.loadings.shape[2]
        state, drawn = state.normals("coordinates", 2 + factors)
        position = jax.scipy.stats.norm.cdf(drawn[0])
        kind = jnp.searchsorted(jnp.cumsum(self.spectrum.shares)[:-1], position)
        variances = self.spectrum.variances[kind].T
        means = self.spectrum.means[kind].T
        means = means + jnp.einsum("skr,rs->ks", self.spectrum.loadings[kind], drawn[2:])
        state = state.keep("variances", "coordinates", variances)
        state = state.keep("means", "coordinates", means)
        state = state.keep("W", "coordinates", jnp.sqrt(self.start_norm) * drawn[1:2])
        for k in range(self.clusters):
            zero = jnp.zeros_like(drawn[:1])
            state = state.keep(f"f{k}", f"cluster{k}", zero)
        state = state.keep("V", None, self.start_response * jnp.ones((1, self.clusters)))
        return state.keep("b", None, jnp.zeros((1, 1)))

    def step(self, state: State, t: Int[Array, ""]) -> tuple[State, dict[str, Array], dict]:
        """Observe the weights, then pass messages to the samples and back."""
        del t
        W, V = state.vectors["W"], state.vectors["V"][0]
        sigma, mu = state.vectors["variances"], state.vectors["means"]
        Q = jnp.mean(sigma * W**2, axis=1)
        m = jnp.mean(mu * W, axis=1)
        fields = []
        for k in range(self.clusters):
            state, product = state.mv(f"Z{k}", jnp.sqrt(sigma[k : k + 1]) * W)
            fields.append(m[k] + product[0] - V[k] * state.vectors[f"f{k}"][0])
        b = self._bias(fields, V, state.vectors["b"][0, 0])
        B, curved = jnp.zeros_like(W), jnp.zeros_like(W)
        for k in range(self.clusters):
            f, slope = self._forces(fields[k] + b, V[k], k)
            f = self._mixed(state.vectors[f"f{k}"][0], f)
            share = self.alpha * self.shares[k]
            state, back = state.rmv(f"Z{k}", f[None])
            state = state.keep(f"f{k}", f"cluster{k}", f[None])
            hat = share * jnp.mean(slope) * sigma[k]
            B = B + jnp.sqrt(sigma[k]) * back + share * jnp.mean(f) * mu[k] + hat * W
            curved = curved + hat
        tau = self.strength * self.l1_ratio
        A = curved + self.strength * (1 - self.l1_ratio)
        new = jnp.sign(B) * jnp.maximum(jnp.abs(B) - tau, 0) / A
        response = self._mixed(V, jnp.mean(sigma * (jnp.abs(B) > tau) / A, axis=1))
        new = self._mixed(W, new)
        state = state.keep("W", "coordinates", new)
        state = state.keep("V", None, response[None]).keep("b", None, b[None, None])
        observed = {"Q": Q[:, None, None], "V": V[:, None, None], "m": m[:, None], "b": b[None]}
        return state, observed, {}

    def _mixed(self, old: Array, new: Array) -> Array:
        return self.damping * old + (1 - self.damping) * new

    def _forces(self, omega: Float[Array, " point"], V: Array, k: int) -> tuple[Array, Array]:
        loss = self.loss
        if isinstance(loss, Squared):
            return (self.y[k] - omega) / (1 + V), jnp.full_like(omega, 1 / (1 + V))
        h = scalar_prox(lambda z: loss.derivatives(self.y[k], z), omega, V)
        first, second = loss.derivatives(self.y[k], h)
        return -first, second / (1 + V * second)

    def _bias(self, fields: list[Array], V: Array, guess: Array) -> Array:
        def step(_: Array, b: Array) -> Array:
            total, curvature = jnp.zeros(()), jnp.zeros(())
            for k, field in enumerate(fields):
                f, slope = self._forces(field + b, V[k], k)
                total += self.shares[k] * jnp.mean(f)
                curvature += self.shares[k] * jnp.mean(slope)
            return b + total / curvature

        return lax.fori_loop(0, _NEWTON, step, guess)


def message_program(problem: MessagePassing) -> MessageProgram:
    """The program of a problem.

    Raises:
        UnsupportedCombination: For several outputs, full covariances, class weights, no bias, or a
            loss without two derivatives.
    """
    mixture, penalty = problem.mixture, problem.penalty
    plain = problem.fit_bias and bool(np.all(problem.class_weights == 1))
    known = isinstance(penalty, ElasticNet) or penalty.name == "l2"
    spectrum = mixture.spectrum
    if (
        not isinstance(problem.loss, Scalar | Squared)
        or problem.codes.shape[1] > 1
        or not isinstance(spectrum, Diagonal)
        or not (plain and known)
    ):
        raise UnsupportedCombination(
            "The engine's program of message passing takes squared, logistic or custom smooth "
            "losses of one output with bias, l2 or elastic net, and diagonal covariances; use "
            "StateEvolution, which knows no damping."
        )
    return MessageProgram(
        jax.tree.map(jnp.asarray, spectrum),
        jnp.asarray(mixture.weights),
        jnp.asarray(problem.codes[mixture.labels][:, 0]),
        jnp.asarray(float(problem.alpha)),
        jnp.asarray(float(problem.strength)),
        jnp.asarray(problem.damping),
        jnp.asarray(problem.start_norm),
        jnp.asarray(problem.start_response),
        problem.loss,
        penalty.l1_ratio if isinstance(penalty, ElasticNet) else 0.0,
    )
