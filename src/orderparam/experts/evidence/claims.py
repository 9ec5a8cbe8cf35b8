"""Checkable claims about scaling: which terms keep their size, and what that is good for.

Tolerances are those of docs/theory/experts.md, Claims and tolerances. A fitted exponent also may be
off by three standard errors.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from orderparam.experts.evidence.claims_transfer import rate_transfers, size_helps
from orderparam.experts.evidence.measures import (
    described,
    exponent,
    exponents,
    predicted,
    rebuilt,
    steps,
    trained,
    values,
)
from orderparam.experts.theory.exponents import Exponent
from orderparam.experts.theory.predictions import stable
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair

BASE = ("agg/base", "back/base")
START = ("agg/base", "back/signal", "back/base")


def base_terms(pairs: Sequence[Pair]) -> list[Finding]:
    """What the initial weights of the experts give, forward and backward."""
    return [
        _against(pair, name, later, 0.1)
        for pair in trained(pairs)
        for name in BASE
        if (later := _later(pair, name))
    ]


def initial_terms(pairs: Sequence[Pair]) -> list[Finding]:
    """The three terms at the start stay with the rule that counting calls stable, alone."""
    found = []
    for pair in trained(pairs):
        lines = [exponent(pair, name, 0) for name in START]
        worst = max(lines, key=lambda line: abs(line.slope))
        if stable(rebuilt(pair.theory).plan()):
            limit = max(0.06, 3 * worst.se)
            text, holds = f"0 within {limit:.2g}", abs(worst.slope) <= limit
        else:
            text, holds = "farther than 0.15 from 0", abs(worst.slope) - 3 * worst.se > 0.15
        name = f"exponent of {worst.observable} at the start, the largest, {described(pair)}"
        found.append(Finding(name, worst.slope, text, judged(holds), worst.se))
        found += [_against(pair, term, [0], 0.12) for term in START]
    return found


def learned_term(pairs: Sequence[Pair]) -> list[Finding]:
    """The part that the experts' updates learn keeps its size; late it may shrink a little."""
    found = []
    for pair in trained(pairs):
        for step, low, high in ((1, -0.15, 0.15), (steps(pair)[-1], -0.25, 0.15)):
            found.append(_between(pair, exponent(pair, "agg/eff", step), low, high))
    return found


def router_start(pairs: Sequence[Pair]) -> list[Finding]:
    """In regime I: logits at the start shrink or are zero, as does their spread over experts.

    Adam gives the first step its full size in the direction of each expert's own gradient, which
    at a zero router differs between experts by chance: the spread is then of order one at once.
    """
    found = []
    for pair in trained(pairs):
        if pair.theory.problem["regime"] != "I":
            continue
        step, spread = steps(pair)[-1], -0.5
        if predicted(pair, "act/psi", 0) is None:
            start = float(values(pair, "act/psi", 0).max())
            name = f"largest logit at the start, {described(pair)}"
            found.append(Finding(name, start, "exactly 0", judged(start == 0.0)))
            if pair.theory.problem["optimizer"] != "sgd":
                step, spread = 1, 0.0
        else:
            found.append(_against(pair, "act/psi", [0], 0.15))
        found.append(_finding(pair, exponent(pair, "act/psi_spread", step), spread, 0.15))
    return found


def gradients(pairs: Sequence[Pair]) -> list[Finding]:
    """After alignment gradients follow epsilon, where counting finds the model stable."""
    found = []
    for pair in trained(pairs):
        roles = rebuilt(pair.theory).reference.roles
        names = [name for name in (f"grad/{role}" for role in roles) if _later(pair, name)]
        found += [_against(pair, name, [steps(pair)[-1]], 0.15) for name in names]
    return found


def expert_outputs(pairs: Sequence[Pair]) -> list[Finding]:
    """In regime II: outputs of single experts grow by design; that of the model shrinks."""
    found = []
    for pair in trained(pairs):
        if pair.theory.problem["regime"] == "II":
            found.append(_against(pair, "act/output", [0], 0.1))
            if stable(rebuilt(pair.theory).plan()):
                found += [_against(pair, n, [1], 0.1) for n in ("act/o", "prop/expert_out")]
    return found


def scale_stable(pairs: Sequence[Pair]) -> list[Finding]:
    """Of all that is judged after training, what certainly does not keep its size.

    Nothing may fail where counting finds the model stable, at a level of 5 % for all observables
    together; elsewhere the base terms that counting sees shrink have to.
    """
    found = []
    for pair in trained(pairs):
        last = steps(pair)[-1]
        lost = [name for name in BASE if predicted(pair, name, last)]
        if not lost and not stable(rebuilt(pair.theory).plan()):
            continue  # what shrinks in regime I is judged by `router-start`
        count = sum(line.verdict != "not judged" for line in _at(pair, last, 0.95))
        # Among many observables that keep their size some look otherwise by chance.
        lines = _at(pair, last, 0.95 if lost else 1 - 0.05 / max(count, 1))
        failed = [line.observable for line in lines if line.verdict == "fail"]
        expected = f"{' and '.join(lost)} among them" if lost else "none"
        name = f"observables of {count} that fail after {last}, {described(pair)}"
        holds = set(lost) <= set(failed) if lost else not failed
        note = ", ".join(failed)
        found.append(Finding(name, float(len(failed)), expected, judged(holds), note=note))
    return found


def trap_outcomes(pairs: Sequence[Pair]) -> list[Finding]:
    """Each trap does what it says, and its remedy avoids it."""
    found = []
    for pair in trained(pairs):
        problem = rebuilt(pair.theory)
        runs = pair.runs("outcome", pair.sizes[-1]).values
        expected = float(pair.theory["outcome"])
        exact = problem.trap != "balancing-loss"
        tolerance = 1e-6 if exact else 0.3
        mean = float(runs.mean())
        error = float(runs.std(ddof=1) / np.sqrt(len(runs))) if len(runs) > 1 else None
        state = "avoided" if problem.avoided else "in the trap"
        text = f"{expected:g}" + (" exactly" if exact else f" within {tolerance:g}")
        name = f"{problem.trap}, {state}: {problem.measured[0]}"
        found.append(Finding(name, mean, text, judged(abs(mean - expected) <= tolerance), error))
    return found


def _against(pair: Pair, name: str, at: Iterable[int], tolerance: float) -> Finding:
    """One exponent against counting, at the step where it is farthest off."""
    lines = [(exponent(pair, name, step), predicted(pair, name, step)) for step in at]
    known = [(line, value) for line, value in lines if value is not None]
    line, value = max(known, key=lambda both: abs(both[0].slope - both[1]))
    return _finding(pair, line, value, tolerance)


def _finding(pair: Pair, line: Exponent, expected: float, tolerance: float) -> Finding:
    """A fitted exponent beside what is expected of it."""
    return _between(pair, line, expected - tolerance, expected + tolerance)


def _between(pair: Pair, line: Exponent, low: float, high: float) -> Finding:
    """A fitted exponent and the range that it belongs in; too large an error leaves it open."""
    slack = 3 * line.se
    middle, half = (low + high) / 2, (high - low) / 2
    limit = max(half, slack)
    name = f"exponent of {line.observable} after {line.step}, {described(pair)}"
    text = f"{middle - limit:.2f} to {middle + limit:.2f}"
    if not np.isfinite(line.slope + slack) or slack > 2 * half:
        note = "the runs differ too much; use more of them"
        return Finding(name, line.slope, text, "undecided", line.se, note)
    return Finding(name, line.slope, text, judged(abs(line.slope - middle) <= limit), line.se)


def _at(pair: Pair, step: int, level: float) -> list[Exponent]:
    """All exponents after some updates, with intervals of a level."""
    return [line for line in exponents(pair, level) if line.step == step]


def _later(pair: Pair, name: str) -> list[int]:
    """Numbers of updates, at least one, for which counting predicts an observable."""
    return [step for step in steps(pair) if step and predicted(pair, name, step) is not None]


CLAIMS: dict[str, Callable[[Sequence[Pair]], list[Finding]]] = {
    "base-terms": base_terms,
    "initial-terms": initial_terms,
    "learned-term": learned_term,
    "router-start": router_start,
    "gradients": gradients,
    "expert-outputs": expert_outputs,
    "scale-stable": scale_stable,
    "rate-transfers": rate_transfers,
    "size-helps": size_helps,
    "trap-outcomes": trap_outcomes,
}
