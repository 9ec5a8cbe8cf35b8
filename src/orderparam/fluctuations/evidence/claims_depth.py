"""Claims about deep linear networks: how fluctuations grow with depth, lazy and rich."""

import itertools
from collections.abc import Sequence

import numpy as np

from orderparam.fluctuations.evidence.measures import depth, gamma0, relative_variance, words
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair

START = {1: 1.0, 2: 20 / 9, 3: 3.5, 4: 4.8}
"""N Var K/K^2 of deep linear networks before training, by depth."""

END = {
    0.25: {1: 0.947, 2: 2.06, 3: 3.18, 4: 4.26},
    3.0: {1: 0.105, 2: 0.188, 3: 0.247, 4: 0.294},
}
"""The same after training on one sample with y = 1 and K^x = 1, by gamma0 and depth: gradient
descent with the learning rate 0.4/((L + 1) max(1, gamma0^0.8)), from which smaller rates differ by
up to 3 %."""

LAZY, RICH = 0.5, 2.0


def deep_linear(pairs: Sequence[Pair]) -> list[Finding]:
    """N Var K/K^2 before and after training, and its way through the layers, lazy and rich."""
    found = []
    for pair in pairs:
        found += _ends(pair)
    for strength in sorted({gamma0(pair) for pair in pairs}):
        group = sorted((p for p in pairs if gamma0(p) == strength), key=depth)
        # At gamma0 = 3 and a rate of 0.04 the peak for L = 4 is below that for L = 3.
        for shallow, deep in itertools.pairwise(group if strength <= LAZY else []):
            below, peak = (float(p.theory["f_nvar"].max()) for p in (shallow, deep))
            statement = f"peak of N Var f, {words(deep)}"
            expected = f"above {below:.3f} of L = {depth(shallow)}"
            found.append(Finding(statement, peak, expected, judged(bool(peak > below))))
        found += _layers(group[-1])
    return found


def _ends(pair: Pair) -> list[Finding]:
    """N Var K/K^2 at the first and the last step."""
    values = relative_variance(pair, "ntk").ravel()
    tables = [("before training", 0, START, 1e-6)]
    if gamma0(pair) in END:
        tables.append(("after training", -1, END[gamma0(pair)], 0.05))
    found = []
    for when, at, table, room in tables:
        if depth(pair) not in table:
            continue
        right, value = table[depth(pair)], float(values[at])
        statement = f"N Var K/K^2 {when}, {words(pair)}"
        expected = f"{right:.4g} within {room:.0e} of it" if room < 0.01 else f"{right:g} ± 5 %"
        found.append(
            Finding(statement, value, expected, judged(bool(abs(value / right - 1) < room)))
        )
    return found


def _layers(pair: Pair) -> list[Finding]:
    """Lazy: N Var Phi grows linearly. Rich: geometrically, flat relative to Phi squared."""
    if depth(pair) < 3:
        return []
    nvar = pair.theory["Phi_nvar"].values[-1, :, 0, 0]
    relative = relative_variance(pair, "Phi")[-1, :, 0, 0]
    factors = nvar[1:] / nvar[:-1]
    if gamma0(pair) <= LAZY:
        each = nvar / np.arange(1, len(nvar) + 1)
        statement = f"spread over layers of N Var Phi / (2 layer), {words(pair)}"
        worst = float(np.abs(each / 2 - 1).max())
        return [Finding(statement, worst, "at most 0.15: linear", judged(bool(worst <= 0.15)))]
    if gamma0(pair) < RICH:
        return []
    spread = float(relative.max() / relative.min())
    return [
        Finding(
            f"least factor of N Var Phi from layer to layer, {words(pair)}", float(factors.min()),
            "above 2.5: geometric", judged(bool(factors.min() > 2.5)),
        ),
        Finding(
            f"largest over smallest N Var Phi/Phi^2 of all layers, {words(pair)}", spread,
            "below 1.1: flat", judged(bool(spread < 1.1)),
        ),
    ]  # fmt: skip
