"""Fluctuations in the limit of weak feature learning, in closed form."""

import math
import time
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.lazy.descent import descent_of
from orderparam.fluctuations.theory.lazy.moments import moments_of
from orderparam.fluctuations.theory.lazy.neurons import neurons_of
from orderparam.fluctuations.theory.lazy.start import start_of
from orderparam.fluctuations.theory.lazy.validity import expansion_error
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.supported import require_frozen
from orderparam.kernels import tangent_kernel
from orderparam.results import Solution
from orderparam.support.arguments import integer, positive
from orderparam.support.memory import require_numbers
from orderparam.support.progress import progress as progress_bar


class Lazy(Method):
    """Fluctuations at gamma0 -> 0, where kernels are random and do not move, for any activation.

    A network of width N keeps the kernels of its initialisation, whose covariance over networks
    follows layer by layer from that of single neurons; predictions are linear in them,

        N Cov[o, o'] = sum over layers of E[psi_o psi_o'],   psi_f(t) = dK Q_t y + K dQ_t(K) y

    with Q_t a polynomial of the kernel. No path is differentiated, so that kinked activations are
    right too. Nothing is stepped for each neuron. Linear networks, and data in at most two
    directions (layers behind the first: at most two samples), need no random numbers.

    What it leaves out is of order gamma0^2 (of order gamma0 with kinks, which neurons cross):
    four times the squared distance that the weights of a neuron move, the known bias of every
    number. Problems for which that is above `accuracy` are refused.

    Args:
        samples: Neurons of each set where these are random; rounded up to a power of two, at
            least 64.
        replicates: Independent sets R >= 2.
        accuracy: Error asked for, as in `Influence`.

    Cost: O(S P^2) for each saved step and layer, S the neurons of all sets, P the samples; memory
    likewise for some thousand neurons, or for one.

    Source: Bordelon & Pehlevan (2023), section 3 (lazy limit); docs/theory/fluctuations.md, Lazy
    networks.
    """

    family: ClassVar[str] = "fluctuations"
    name: ClassVar[str] = "lazy"

    samples: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __init__(self, samples: int = 1024, replicates: int = 8, accuracy: float = 0.1) -> None:
        samples = integer("samples", samples, 2)
        self.replicates = integer("replicates", replicates, 2)
        self.accuracy = positive("accuracy", accuracy, "0.1 is usual")
        require_numbers("samples", samples)
        self.samples = 2 ** max(6, math.ceil(math.log2(samples)))
        if self.samples != samples:
            warnings.warn(
                f"Sobol samples come in powers of two from 64 on: samples = {samples} is raised to "
                f"{self.samples}.",
                stacklevel=2,
            )

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("samples", "replicates", "accuracy")
        return {"name": self.name, **{n: getattr(self, n) for n in names}}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Memory of a chunk of neurons and of what is saved, and time of all."""
        evolution, times = problem.evolution, len(save.grid(problem.evolution.steps))
        seen, depth = evolution.data.count + evolution.data.test_count, evolution.network.depth
        kernels = depth * seen**2
        saved = 5 * times * kernels * (self.replicates + depth)
        divided = 2 * times * evolution.data.count**2
        work = self.replicates * self.samples * depth * times * kernels * 30.0
        memory = 2**29 + 8 * (12 * kernels + 6 * times * seen + saved + divided)
        return Estimate(memory, work / 1e9, 8.0)

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """The network before training, its neurons, and what they do to predictions."""
        require_frozen(self.name, problem, save)
        began = time.perf_counter()
        evolution, steps = problem.evolution, save.grid(problem.evolution.steps)
        network, start = evolution.network, start_of(evolution)
        Phi, G = (np.stack([getattr(a, n) for a in start.layers]) for n in ("Phi", "G"))
        descent = descent_of(evolution, tangent_kernel(network, start.gram, Phi, G), steps)
        left_out = expansion_error(evolution, descent, self.accuracy)
        linear = network.activation.linear
        neurons = neurons_of(start.layers, linear, self.samples, self.replicates, seed)
        every = [*neurons.sets, *([neurons.coarser] if neurons.coarser else [])]
        functions, found = functions_of(evolution), []
        with progress_bar(len(every) * network.depth, "lazy", progress) as advance:
            for points in every:
                found.append(moments_of(evolution, start, descent, functions, points, advance))
        count = len(neurons.sets)
        return pack(
            problem,
            steps,
            found[:count],
            found[count:],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Raise `samples` or `replicates`." if count > 1 else "Lower `gamma0`.",
            seen={
                "movement": float(evolution.gamma0 * np.sqrt(descent.movement().max())),
                "expansion_error": float(left_out.max()), "average_error": start.error,
                "neurons": sum(len(p.weights) for p in neurons.sets[0]), "sampled": count > 1,
            },
            seconds=time.perf_counter() - began,
            left_out=left_out + start.error,
        )  # fmt: skip
