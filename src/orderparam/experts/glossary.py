"""The names of mixture-of-experts scaling: symbol, code name and meaning."""

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.rows import ROWS
from orderparam.results import Coordinate

SIZES: dict[str, tuple[str, str]] = {
    "width": ("N", "residual width; its growth is n"),
    "experts": ("M", "experts of a block; m"),
    "active": ("K", "experts that an input uses; k"),
    "expert": ("N_e", "hidden width of one expert; e"),
    "ffn": ("F", "hidden width of dense feed-forward layers; f, or h in the table"),
    "layers": ("L", "residual blocks; l"),
    "head_dim": ("d", "width of an attention head"),
    "attention": (r"N_{att}", "heads times their width"),
    "kv": (r"N_{kv}", "key-value heads times their width"),
}
_FAMILIES = {
    "act": (r"W_t x_t", "output of"),
    "eff": (r"(W_t - W_0)\,x_t", "effective update of"),
    "prop": (r"W_0\,(x_t - x_0)", "propagating update of"),
    "grad": (r"\partial L/\partial W", "gradient of"),
    "faithful": (r"|\partial L/\partial W|/\epsilon", "gradient over epsilon of"),
}
_TERMS = {
    "base": (r"W_0 v_0", "initial weights on initial activations or signals"),
    "prop": (r"W_0\,\Delta v", "initial weights on their changes"),
    "eff": (r"\Delta W\,v_0", "changed weights on initial ones"),
    "cross": (r"\Delta W\,\Delta v", "changed weights on changes"),
}
OBSERVABLES: dict[str, tuple[str, str]] = {
    "loss": (r"\mathcal{L}", "loss on the probe"),
    "act/output": ("f", "output of the model"),
    "act/psi": (r"\psi", "logits of the router"),
    "act/psi_spread": (r"\mathrm{std}_i\,\psi_i", "spread of the logits over experts"),
    "act/u": ("u_i", "preactivations of experts"),
    "act/o": ("o_i", "outputs of single experts"),
    "act/aggregate": ("r", "weighted sum over experts"),
    "back/signal": (r"K N_e\,\partial L/\partial u_i", "signal at the preactivations of experts"),
    "router/used": ("", "experts that received any input"),
    "router/entropy": ("", "entropy of the gates of an input"),
    "router/gate_max": (r"\max\varphi", "largest gate"),
    "router/gate_min": (r"\min\varphi", "smallest gate"),
    "router/load_max": ("", "largest share of inputs that one expert received"),
    **{f"agg/{t}": (s, f"sum over experts: {words}") for t, (s, words) in _TERMS.items()},
    **{
        f"back/{t}": (s, f"adjoint of the sum over experts: {words}")
        for t, (s, words) in _TERMS.items()
    },
}


def meaning(observable: str) -> tuple[str, str]:
    """Symbol and meaning of an observable of the coordinate check.

    Raises:
        InvalidProblem: If there is none of that name.

    Example:
        >>> meaning("eff/router")[1]
        "effective update of the role 'router'"
    """
    family, _, role = observable.partition("/")
    if observable in OBSERVABLES:
        return OBSERVABLES[observable]
    if family in _FAMILIES and role in ROWS:
        symbol, words = _FAMILIES[family]
        return symbol, f"{words} the role {role!r}"
    raise InvalidProblem(
        f"There is no observable {observable!r}; use one of {', '.join(OBSERVABLES)}, or "
        f"{', '.join(f'{name}/ROLE' for name in _FAMILIES)}."
    )


def entry_name(observable: str, step: int) -> str:
    """How one prediction is called, such as `agg/base after 20`."""
    return f"{observable} after {step}"


def entry_coordinates(entries: list[tuple[str, int]]) -> dict[str, Coordinate]:
    """Labels of exponents: their name, and its two parts."""
    dims = ("prediction",)
    names = [entry_name(*entry) for entry in entries]
    return {
        "prediction": Coordinate(dims, np.array(names), "observable and updates"),
        "observable": Coordinate(dims, np.array([name for name, _ in entries]), "observable"),
        "updates": Coordinate(dims, np.array([step for _, step in entries]), "updates"),
    }
