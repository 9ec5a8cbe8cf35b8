"""The claim about parameterizations: which networks share which infinite-width limit."""

from collections.abc import Sequence

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.kernels.evidence.captions import gamma0, method
from orderparam.kernels.evidence.measures import error, motion, parameterization, train_block
from orderparam.results import Finding, Solution, judged
from orderparam.results.pair import Pair

SLOPES = {"mean_field": 0.0, "ntk": -1.0, "standard": -1.0}
"""Power of N with which the tangent kernel moves in training."""


def limits(pairs: Sequence[Pair]) -> list[Finding]:
    """Which theory each parameterization tends to, and which networks are the same."""
    if any(pair.experiment is None for pair in pairs):
        raise InvalidProblem("The claim about limits needs networks; add an [experiment].")
    strongest = max(map(gamma0, pairs))
    main = [pair for pair in pairs if gamma0(pair) == strongest]
    found = []
    for pair in main:
        ends = _tends(pair)
        if ends is not None:
            found.append(_limit(pair, parameterization(pair), method(pair), ends))
        if parameterization(pair) == "standard" and method(pair) == "static-ntk":
            shown = Pair(without_input_layer(pair.theory), pair.experiment)
            found.append(_limit(shown, "standard", "static-ntk without its input layer", True))
    for kind, power in SLOPES.items():
        found += [_movement(p, power) for p in main if parameterization(p) == kind][:1]
    return found + _same_networks(pairs)


def without_input_layer(theory: Solution) -> Solution:
    """Static-kernel training in which the input weights do not learn, as f and loss of a solution.

    f(t+1) = f(t) + (eta/P) K' Delta(t) with K' = K - G^1 Phi^0 = sum_{l>=1} G^{l+1} Phi^l: in the
    standard parameterization the input weights learn at D/N of the rate of all others.
    """
    problem, times = theory.problem, theory["time"].values
    if not np.array_equal(times, np.arange(len(times))):
        raise InvalidProblem("The claim about limits needs every step; save them all.")
    Phi, G = theory["Phi"].values[0], theory["G"].values[0]
    kernel = Phi[-1] + sum(G[i + 1] * Phi[i] for i in range(len(Phi) - 1))
    count = problem["data"]["count"]
    y = theory["Delta"].values[0]
    f = np.zeros(len(kernel))
    curve = []
    for _ in times:
        curve.append(f)
        f = f + problem["learning_rate"] / count * kernel[:, :count] @ (y - f[:count])
    values = np.stack(curve)
    loss = 0.5 * np.mean((y - values[:, :count]) ** 2, axis=1)
    data = theory.dataset
    return Solution(data.assign(f=data["f"].copy(data=values), loss=data["loss"].copy(data=loss)))


def _tends(pair: Pair) -> bool | None:
    """Whether networks should tend to this theory; `None` where nothing is claimed."""
    kind, theory = parameterization(pair), method(pair)
    if kind == "mean_field":
        return theory == "causal"
    return theory == "static-ntk" and kind == "ntk"


def _limit(pair: Pair, kind: str, theory: str, tends: bool) -> Finding:
    """Whether the predictions of networks, taken to infinite width, are those of a theory."""
    measured = error(pair, "f")
    statement = f"relative deviation of f: limit of {kind} networks from {theory}"
    if tends:
        expected, holds = "within the error of the networks", measured.verdict != "fail"
    else:
        expected = "another limit: rejected, above five standard errors"
        holds = measured.verdict == "fail" and measured.value > 5 * measured.se
    return Finding(statement, measured.value, expected, judged(holds), se=measured.se)


def movements(pair: Pair) -> dict[int, np.ndarray]:
    """Change of the tangent kernel in training, |K(T) - K(0)| / |K(0)|, by width and run."""
    assert pair.experiment is not None
    ntk = train_block(pair.experiment, "ntk")
    order = pair.experiment[pair.size].values.tolist()
    return {
        width: motion(ntk[order.index(width)])[: pair.runs("ntk", width).sizes["seed"]]
        for width in pair.sizes
    }


def _movement(pair: Pair, power: float) -> Finding:
    """The power of N with which the tangent kernel moves."""
    moved = movements(pair)
    x = np.concatenate([np.full(len(v), np.log(width)) for width, v in moved.items()])
    y = np.log(np.concatenate(list(moved.values())))
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    se = float(np.sqrt(residual @ residual / (len(x) - 2) / (x @ x)))
    kind = parameterization(pair)
    statement = f"power of N with which the NTK moves in {kind} networks"
    room = 0.15
    holds = abs(slope - power) < room + 2 * se
    expected = f"{power:g} within {room} and two standard errors"
    return Finding(statement, slope, expected, judged(holds), se=se)


def _same_networks(pairs: Sequence[Pair]) -> list[Finding]:
    """Mean-field networks with gamma0 = 1/sqrt(N) are NTK networks of that width."""
    found, seen = [], set()
    for a in pairs:
        width = round(gamma0(a) ** -2)
        if parameterization(a) != "mean_field" or width not in a.sizes or width in seen:
            continue
        for b in pairs:
            if parameterization(b) != "ntk" or gamma0(b) != gamma0(a) or width in seen:
                continue
            seen.add(width)
            one, two = (p.runs("f", width).values for p in (a, b))
            gap = float(np.abs(one - two).max() / np.abs(one).max())
            statement = f"mean_field at gamma0 = 1/sqrt({width}) and ntk, N = {width}: largest gap"
            expected = "below 1e-4 of the predictions: the same networks up to rounding"
            found.append(Finding(statement, gap, expected, judged(gap < 1e-4)))
    return found
