"""Claims of the toy family."""

from orderparam.errors import InvalidProblem
from orderparam.results import Finding, judged


def decays(pairs):
    return [
        Finding(f"loss falls, {p.label}", float(p.theory["loss"][-1]), "< 0.15", judged(
            float(p.theory["loss"][-1]) < 0.15))
        for p in pairs
    ]  # fmt: skip


def impossible(pairs):
    raise InvalidProblem("This needs one more width; add it.")


CLAIMS = {"decays": decays, "impossible": impossible}
