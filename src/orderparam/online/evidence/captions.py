"""Captions that the figures of one-pass SGD share."""

from collections.abc import Sequence

from orderparam.results.pair import Pair

TIME = "time $t$  (samples / N)"


def model_line(pairs: Sequence[Pair]) -> str:
    """What the problems share, in one line."""
    problems = [pair.theory.problem for pair in pairs]
    first, start = problems[0], problems[0]["start"]
    parts = [f"{first['activation']} activation"]
    for name, symbol in (("students", "p"), ("teachers", "p^*")):
        if all(other["start"][name] == start[name] for other in problems):
            parts.append(f"${symbol} = {start[name]}$")
    for name, symbol in (("learning_rate", r"\eta"), ("label_noise", r"\Delta")):
        if first[name] and all(other[name] == first[name] for other in problems):
            parts.append(f"${symbol} = {first[name]:g}$")
    return ", ".join(parts)


def seeds_line(pair: Pair) -> str:
    """How many runs the widest experiment has."""
    return f"{pair.runs('loss', pair.sizes[-1]).sizes['seed']} runs"
