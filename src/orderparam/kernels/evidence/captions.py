"""Words of the figures of kernel evolution: the model in one line, symbols, groups of cases."""

import re
from collections.abc import Sequence

from orderparam.results.pair import Pair

SYMBOLS = {
    "gamma0": r"\gamma_0", "learning_rate": r"\eta", "depth": "L", "steps": "T", "count": "P_c",
}  # fmt: skip
VARIABLES = {
    "loss": r"loss $\mathcal{L}$",
    "f": "predictions $f$",
    "Phi": r"$\Phi^\ell(t,t)$",
    "G": r"$G^\ell(t,t)$",
    "Phi_two": r"$\Phi^\ell(t,s)$",
    "G_two": r"$G^\ell(t,s)$",
}
METHODS = {
    "causal": "full theory, causal",
    "alternating": "full theory, alternating",
    "exact-linear": "full theory, exact",
    "linear-kernels": "full theory, closed equations",
    "static-ntk": "static NTK",
    "gradient-independence": "gradient independence",
    "perturbation": r"perturbation, order $\gamma_0^2$",
}
BANDS = (
    "bands: theory ± 2 errors (sampling and truncation); networks from lowest to highest over seeds"
)
_ACTIVATIONS = {
    "tanh": r"\tanh h",
    "erf": r"\mathrm{erf}\,h",
    "relu": r"\max(0, h)",
    "relu_normalized": r"\sqrt{2}\,\max(0, h)",
    "softplus": r"\ln(1 + e^h)",
    "gelu": r"h\,(1 + \mathrm{erf}(h/\sqrt{2}))/2",
    "silu": r"h/(1 + e^{-h})",
    "sin": r"\sin h",
    "cos": r"\cos h",
    "linear": "h",
}


def activation_text(name: str) -> str:
    r"""The definition of an activation as mathematics, such as "$\phi(h) = \tanh h$"."""
    scaled = re.fullmatch(r"scaled_tanh\((.*)\)", name)
    if scaled:
        beta = f"{float(scaled[1]):g}"
        return rf"$\phi(h) = \tanh({beta}\,h)/{beta}$"
    return rf"$\phi(h) = {_ACTIVATIONS[name]}$" if name in _ACTIVATIONS else f"φ = {name}"


def model_text(pair: Pair) -> str:
    """Network, activation and learning rate in one line."""
    problem = pair.theory.problem
    network = problem["network"]
    layers = "1 hidden layer" if network["depth"] == 1 else f"{network['depth']} hidden layers"
    return f"{network['kind']}, {layers}, {_training(pair)}"


def grid_text(pairs: Sequence[Pair]) -> str:
    """What the cases of a study of several depths have in common."""
    depths = sorted({depth(pair) for pair in pairs})
    names = ", ".join(map(str, depths))
    network = pairs[0].theory.problem["network"]
    return f"{network['kind']}, $L = {names}$ hidden layers, {_training(pairs[0])}"


def depth(pair: Pair) -> int:
    """Number of hidden layers of a case."""
    return pair.theory.problem["network"]["depth"]


def gamma0(pair: Pair) -> float:
    """Feature-learning strength of a case."""
    return pair.theory.problem["gamma0"]


def method(pair: Pair) -> str:
    """Name of the method that solved a case."""
    return pair.theory.method["name"]


def gamma_text(value: float) -> str:
    r"""A feature-learning strength as mathematics."""
    return rf"$\gamma_0 = {value:g}$"


def words(pair: Pair) -> str:
    """A case in plain words, for tables."""
    return f"L = {depth(pair)}, gamma0 = {gamma0(pair):g}"


def _training(pair: Pair) -> str:
    problem = pair.theory.problem
    rate = rf"$\eta = {problem['learning_rate']:g}$"
    return f"{activation_text(problem['network']['activation'])}, {rate}"
