"""The scaling table: for every role its exponents, in the form without width multipliers.

Each entry is a monomial in the ratios target / base: n residual width, k active experts, e expert
width, and h the hidden width that belongs to the parameter (feed-forward width, attention width,
rank of a low-rank pair). Depth is not part of a row: see `depth.py`.

For every role the table obeys lr_SGD x epsilon = lr_Adam, because a step of Adam is lr_Adam, a step
of SGD is lr_SGD times the gradient, and epsilon follows the gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

Powers = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """Exponents of one role.

    Args:
        std: Of the initial standard deviation.
        adam: Of the learning rate of Adam and of sign-type optimisers.
        epsilon: Of Adam's epsilon; the same as of a typical gradient entry.
        sgd: Of the learning rate of SGD.
        meaning: What the role is.
        hidden: Name of the size behind the ratio h, empty if the row has none.
        inputs: Name of the size that the `i` axes must have, empty where it is not scaled.
        outputs: Name of the size that the `o` axes must have, empty where it is not scaled.
        in_block: Whether it sits on a residual branch, and so follows the depth rule.
        initial: How it starts: `normal`, `one` or `zero`.
    """

    std: Powers
    adam: Powers
    epsilon: Powers
    sgd: Powers
    meaning: str
    hidden: str = ""
    inputs: str = ""
    outputs: str = ""
    in_block: bool = True
    initial: str = "normal"


def _p(**powers: float | int) -> Powers:
    """A monomial, such as `_p(n=-1, h=0.5)` for n^(-1) h^(1/2)."""
    return {name: float(power) for name, power in powers.items()}


ONE = _p()

# fmt: off
ROWS: dict[str, Row] = {
    "input": Row(ONE, ONE, _p(n=-1), _p(n=1), "embedding or layer of fixed fan-in",
                 outputs="width", in_block=False),
    "tied_embedding": Row(ONE, ONE, _p(n=-1), _p(n=1), "embedding that is also the head",
                          outputs="width", in_block=False),
    "norm_gain": Row(ONE, ONE, _p(h=-1), _p(h=1), "gain of a norm inside a block",
                     hidden="width", outputs="h", initial="one"),
    "final_norm_gain": Row(ONE, ONE, _p(n=-1), _p(n=1), "gain of the norm before the head",
                           outputs="width", in_block=False, initial="one"),
    "bias": Row(ONE, ONE, _p(h=-1), _p(h=1), "bias inside a block",
                hidden="width", outputs="h", initial="zero"),
    "input_bias": Row(ONE, ONE, _p(n=-1), _p(n=1), "bias of an input layer",
                      outputs="width", in_block=False, initial="zero"),
    "final_bias": Row(ONE, ONE, _p(n=-1), _p(n=1), "bias of the norm before the head",
                      outputs="width", in_block=False, initial="zero"),
    "attn_qkv": Row(_p(n=-0.5), _p(n=-1), _p(h=-1), _p(h=1, n=-1), "query, key, value together",
                    hidden="attention", inputs="width", outputs="h"),
    "attn_q": Row(_p(n=-0.5), _p(n=-1), _p(h=-1), _p(h=1, n=-1), "queries",
                  hidden="attention", inputs="width", outputs="h"),
    "attn_kv": Row(_p(n=-0.5), _p(n=-1), _p(h=-1), _p(h=1, n=-1), "keys or values",
                   hidden="kv", inputs="width", outputs="h"),
    "attn_proj": Row(_p(h=-0.5), _p(h=-1), _p(n=-1), _p(n=1, h=-1), "output of attention",
                     hidden="attention", inputs="h", outputs="width"),
    "low_rank_in": Row(_p(n=-0.5), _p(n=-1), _p(h=-1), _p(h=1, n=-1), "low-rank pair, down",
                       hidden="rank", inputs="width", outputs="h"),
    "low_rank_out": Row(_p(h=-0.5), _p(h=-1), _p(n=-1), _p(n=1, h=-1), "low-rank pair, up",
                        hidden="rank", inputs="h"),
    "ffn_in": Row(_p(n=-0.5), _p(n=-1), _p(h=-1), _p(h=1, n=-1), "dense feed-forward, in",
                  hidden="ffn", inputs="width", outputs="h"),
    "ffn_out": Row(_p(h=-0.5), _p(h=-1), _p(n=-1), _p(n=1, h=-1), "dense feed-forward, out",
                   hidden="ffn", inputs="h", outputs="width"),
    "router": Row(ONE, _p(n=-1), _p(k=-1), _p(k=1, n=-1), "logits of the experts",
                  inputs="width", outputs="experts"),
    "router_bias": Row(ONE, ONE, _p(k=-1), _p(k=1), "trained offsets of the logits",
                       outputs="experts", initial="zero"),
    "expert_in": Row(_p(n=-0.5), _p(n=-1), _p(k=-1, e=-1), _p(k=1, e=1, n=-1), "expert, in",
                     inputs="width", outputs="expert"),
    "expert_out": Row(_p(e=-0.5), _p(e=-1), _p(k=-1, n=-1), _p(k=1, n=1, e=-1), "expert, out",
                      inputs="expert", outputs="width"),
    "expert_in_bias": Row(ONE, ONE, _p(k=-1, e=-1), _p(k=1, e=1), "bias of expert_in",
                          outputs="expert", initial="zero"),
    "expert_out_bias": Row(ONE, ONE, _p(k=-1, n=-1), _p(k=1, n=1), "bias of expert_out",
                           outputs="width", initial="zero"),
    "gate": Row(_p(n=-1), _p(n=-1), ONE, _p(n=-1), "gate of an always-on shared expert",
                inputs="width"),
    "head": Row(_p(n=-1), _p(n=-1), ONE, _p(n=-1), "fixed number of outputs",
                inputs="width", in_block=False),
    "head_bias": Row(ONE, ONE, ONE, ONE, "bias of the head", in_block=False, initial="zero"),
    "frozen": Row(ONE, ONE, ONE, ONE, "not trained, not scaled", in_block=False),
}
# fmt: on


def value(powers: Powers, ratio: Mapping[str, float]) -> float:
    """The monomial at given ratios; exactly 1.0 where every ratio is 1."""
    return float(prod(ratio[name] ** power for name, power in powers.items()))


def router_std(ratio: Mapping[str, float]) -> float:
    """min(sqrt(k) / n, 1 / sqrt(n)): the backward signal of the router, or its logits, stay finite.

    The router's back-propagated signal, n / sqrt(k) times its std, must not grow; nor must its
    initial logits, sqrt(n) times its std.
    """
    return min(ratio["k"] ** 0.5 / ratio["n"], ratio["n"] ** -0.5)


def text(powers: Powers) -> str:
    """A monomial in words, such as `k e / n`."""
    if not powers:
        return "1"

    def factors(sign: int) -> str:
        parts = [(name, abs(p)) for name, p in powers.items() if p * sign > 0]
        return " ".join(name if p == 1 else f"{name}^{p:g}" for name, p in parts)

    above, below = factors(1), factors(-1)
    if not below:
        return above
    return f"{above or '1'} / {f'({below})' if ' ' in below else below}"
