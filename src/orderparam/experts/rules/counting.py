"""Counting: the size of every signal, from which each row of the table follows in two steps.

With a head whose entries are 1/N the signal that comes back to the residual stream has entries 1/N.
The gradient of a parameter is the signal at its output times an input of order one; an update has
to be 1/fan-in, so that it changes the output by order one. Adam's step is its learning rate,
epsilon follows the gradient, and the step of SGD is its learning rate times the gradient.
"""

from dataclasses import dataclass

from orderparam.experts.rules.rows import Powers

_ONE: Powers = {}
_RESIDUAL = ("the residual stream", {"n": -1.0})
_OUTPUT = ("the outputs, of which there is a fixed number", _ONE)
_HIDDEN = ("the hidden neurons of the branch", {"h": -1.0})
_LOGIT = ("the router's logits", {"k": -1.0})
_PRE = ("the preactivations of an expert", {"k": -1.0, "e": -1.0})
_EXPERT_OUTPUT = ("the output of an expert", {"k": -1.0, "n": -1.0})

# Where the signal is taken: the place behind the parameter.
_PLACES: tuple[tuple[tuple[str, Powers], str], ...] = (
    (_RESIDUAL, "input tied_embedding final_norm_gain input_bias final_bias attn_proj ffn_out"),
    (_RESIDUAL, "low_rank_out"),
    (_HIDDEN, "norm_gain bias attn_qkv attn_q attn_kv ffn_in low_rank_in"),
    (_LOGIT, "router router_bias"),
    (_PRE, "expert_in expert_in_bias"),
    (_EXPERT_OUTPUT, "expert_out expert_out_bias"),
    (_OUTPUT, "head head_bias gate"),
)
_INPUTS: tuple[tuple[Powers, str], ...] = (
    ({"n": 1.0}, "attn_qkv attn_q attn_kv ffn_in low_rank_in router expert_in head gate"),
    ({"h": 1.0}, "attn_proj ffn_out low_rank_out"),
    ({"e": 1.0}, "expert_out"),
)
_BEHIND = {role: place for place, roles in _PLACES for role in roles.split()}
_FAN_IN = {role: powers for powers, roles in _INPUTS for role in roles.split()}


@dataclass(frozen=True)
class Count:
    """What counting says about one role.

    Args:
        place: Where its output goes.
        signal: Typical entry of the signal that comes back there.
        fan_in: Growth of the number of inputs that one output sums over.
    """

    place: str
    signal: Powers
    fan_in: Powers

    @property
    def update(self) -> Powers:
        """Entry of an update that changes the output by order one."""
        return {name: -power for name, power in self.fan_in.items()}

    @property
    def sgd(self) -> Powers:
        """Learning rate of SGD: the update divided by the gradient."""
        names = {**self.update, **self.signal}
        powers = {n: self.update.get(n, 0.0) - self.signal.get(n, 0.0) for n in names}
        return {name: power for name, power in powers.items() if power}


def count(role: str) -> Count:
    """Count the signals of a role; `frozen` has none.

    Raises:
        KeyError: For a role without a gradient.
    """
    place, signal = _BEHIND[role]
    return Count(place, signal, _FAN_IN.get(role, _ONE))
