"""Claims about sharpness: self-stabilisation of linear networks, and eigenvalues of kernels."""

from collections.abc import Sequence

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.fluctuations.evidence.measures import (
    gamma0,
    is_centred,
    kernel_sharpness,
    runs_of,
    words,
)
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair, with_networks

EDGE = 2.0
ROOM = 0.08
"""Largest relative deviation of N Var of each eigenvalue."""


def self_stabilisation(pairs: Sequence[Pair]) -> list[Finding]:
    """Linear networks with one sample: the sharpness ends below the edge, its variance suppressed.

    Gradient flow from an uncentred start ends with N Var K = 4/(1 + gamma0^2 y^2); larger steps
    suppress it more. Centred networks keep the value 4 of the start, below the edge.
    """
    found = []
    for pair in pairs:
        sharpness = kernel_sharpness(pair)
        if sharpness.max() > EDGE:
            found.append(Finding(
                f"last sharpness after a largest one of {sharpness.max():.2f}, {words(pair)}",
                float(sharpness[-1]), "below 2, the edge", judged(bool(sharpness[-1] < EDGE)),
            ))  # fmt: skip
        kernel = pair.theory["ntk_nvar"].values.ravel()
        if is_centred(pair):
            if sharpness.max() < EDGE:
                holds = abs(kernel[-1] / 4 - 1) < 0.02
                statement = f"last N Var K, {words(pair)}"
                found.append(
                    Finding(statement, float(kernel[-1]), "4 within 2 %", judged(bool(holds)))
                )
            continue
        bound = 4 / (1 + gamma0(pair) ** 2)
        statement = f"last N Var K, {words(pair)}"
        expected = f"at most {bound:.3f} of gradient flow"
        found.append(
            Finding(statement, float(kernel[-1]), expected, judged(bool(kernel[-1] <= bound)))
        )
        error = pair.theory["Delta_nvar"].values.ravel()
        part = float(error[-1] / error.max())
        statement = f"last N Var Delta over its peak, {words(pair)}"
        found.append(Finding(statement, part, "below 0.01: stable", judged(bool(part < 0.01))))
    return found


def level_repulsion(pairs: Sequence[Pair]) -> list[Finding]:
    """Eigenvalues of the kernel: variances of each, and shifts that spread the spectrum."""
    found = []
    for pair in with_networks(pairs, "eigenvalues"):
        if "ntk_eigenvalues_shift" not in pair.theory:
            raise InvalidProblem("The shift of the eigenvalues is not known; they cross.")
        width = pair.sizes[-1]
        runs, theory = runs_of(pair, "ntk_eigenvalues_nvar", width), pair.theory
        right = theory["ntk_eigenvalues_nvar"].values
        for mode in range(right.shape[1]):
            size = np.linalg.norm(right[:, mode])
            off = float(np.linalg.norm(runs[..., mode].mean(axis=0) - right[:, mode]) / size)
            chance = np.sqrt(np.sum(runs[..., mode].var(axis=0, ddof=1)) / len(runs)) / size
            verdict = judged(bool(off <= ROOM))
            if off > ROOM and chance > ROOM / 2:
                verdict = "undecided"
            statement = f"relative deviation of N Var of eigenvalue {mode + 1} at N = {width}"
            note = f"chance alone: {chance:.3f}"
            found.append(Finding(
                f"{statement}, {words(pair)}", off, f"at most {ROOM:g}", verdict, note=note
            ))  # fmt: skip
        found += _spreading(pair, width)
    return found


def _spreading(pair: Pair, width: int) -> list[Finding]:
    """Before training the kernel's mean is its limit, yet the top moves up and the bottom down."""
    shift = pair.theory["ntk_eigenvalues_shift"].values[0]
    runs = runs_of(pair, "ntk_eigenvalues_shift", width)[:, 0]
    found = []
    for mode, sign in ((0, 1), (len(shift) - 1, -1)):
        mean = float(runs[:, mode].mean())
        se = float(runs[:, mode].std(ddof=1) / np.sqrt(len(runs)))
        which = "top" if mode == 0 else "bottom"
        statement = f"shift of the {which} eigenvalue before training at N = {width}, {words(pair)}"
        expected = f"theory's {shift[mode]:.3f} within 10 % and 3.5 standard errors, its sign seen"
        near = abs(mean - shift[mode]) < 0.1 * abs(shift[mode]) + 3.5 * se
        holds = near and sign * shift[mode] > 0 and sign * mean > 3.5 * se
        found.append(Finding(statement, mean, expected, judged(bool(holds)), se=se))
    return found
