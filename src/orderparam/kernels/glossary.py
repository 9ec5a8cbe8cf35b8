"""The names of kernel evolution: symbol, code name, dimensions, meaning, once for all results."""

import numpy as np
from jaxtyping import Float

from orderparam.kernels.problem import KernelEvolution
from orderparam.results import Coordinate, Variable

KERNEL = ("sample", "sample_")
FIELD = ("sample", "output", "sample_", "output_")

GLOSSARY: dict[str, tuple[tuple[str, ...], str, str]] = {
    "loss": (("time",), "training loss, mean over samples", r"\mathcal{L}"),
    "test_loss": (("time",), "test loss, mean over samples", r"\mathcal{L}_{test}"),
    "mse": (("time",), "training error, mean |f - y|^2", r"\langle\Delta^2\rangle"),
    "test_mse": (("time",), "test error, mean |f - y|^2", r"\langle\Delta^2\rangle_{test}"),
    "f": (("time", "sample", "output"), "prediction", "f"),
    "Delta": (
        ("time", "train", "output"),
        "error signal, minus the derivative of the loss of each training sample by its prediction",
        r"\Delta",
    ),
    "Phi": (("time", "layer", *KERNEL), "feature kernel of each hidden layer", r"\Phi^\ell"),
    "G": (("time", "layer", *FIELD), "gradient kernel of each hidden layer", r"G^\ell"),
    "ntk": (("time", *FIELD), "neural tangent kernel", "K"),
    "ntk_eigenvalues": (
        ("time", "mode"),
        "eigenvalues of the tangent kernel on training samples, largest first",
        r"\lambda(K)",
    ),
    "alignment": (("time",), "alignment of the tangent kernel with the labels", "A(K, yy^T)"),
    "Phi_alignment": (
        ("time", "layer"),
        "alignment of the feature kernels with the labels",
        r"A(\Phi^\ell, yy^T)",
    ),
    "Phi_two": (
        ("layer", "time", "time_", *KERNEL),
        "feature kernels between two steps",
        r"\Phi^\ell(t,s)",
    ),
    "G_two": (
        ("layer", "time", "time_", *FIELD),
        "gradient kernels between two steps",
        r"G^\ell(t,s)",
    ),
    "h": (
        ("field_time", "layer", "sample", "position", "neuron"),
        "preactivations of single neurons",
        "h",
    ),
    "z": (
        ("field_time", "layer", "sample", "output", "position", "neuron"),
        "backward fields of single neurons",
        "z",
    ),
}
"""Dimensions, meaning and LaTeX symbol of every variable.

One output has no `output` dimension, networks without convolution no `position`. Kernels of
convolutional networks are what a readout at that layer would see: for the pooled one `Phi` averages
over pairs of positions and `G` sums over them, for the flattened one over equal positions.
"""


def row_shape(problem: KernelEvolution, name: str) -> tuple[int, ...]:
    """What rows hold behind the sample: outputs where these are of backward fields; positions."""
    outputs = problem.data.outputs if name in ("z", "G_two") else 1
    positions = problem.network.positions if name in ("h", "z") else 1
    return tuple(n for n in (outputs, positions) if n > 1)


def variable(
    problem: KernelEvolution,
    name: str,
    values: Float[np.ndarray, "..."],
    se: Float[np.ndarray, "..."] | None = None,
    leading: tuple[str, ...] = (),
    bias: Float[np.ndarray, "..."] | None = None,
) -> Variable:
    """A variable of the glossary, with extra `leading` dimensions where a result has them."""
    dims, meaning, symbol = GLOSSARY[name]
    if problem.data.outputs == 1:
        dims = tuple(dim for dim in dims if dim not in ("output", "output_"))
    if problem.network.positions == 1:
        dims = tuple(dim for dim in dims if dim != "position")
    return Variable((*leading, *dims), values, meaning, symbol, se=se, bias=bias)


def coordinates(problem: KernelEvolution, steps: np.ndarray) -> dict[str, Coordinate]:
    """Coordinates that theory and experiment share."""
    data, train = problem.data, 0 if problem.one_pass else problem.data.count
    samples = np.arange(train + data.test_count)
    split = np.where(samples < train, "train", "test")
    # Learning time: the sum of learning rates, which is rate times step for a constant one.
    learned = np.concatenate([[0.0], np.cumsum(problem.rates())])[steps]
    if problem.schedule is None:
        learned = problem.learning_rate * steps
    followed = train or data.test_count
    coords = {
        "time": Coordinate(("time",), steps, "step of gradient descent", "steps"),
        "eta_t": Coordinate(("time",), learned, "learning rate times step"),
        "layer": Coordinate(("layer",), np.arange(1, problem.network.depth + 1), "hidden layer"),
        "sample": Coordinate(("sample",), samples, "sample, training ones first"),
        "sample_": Coordinate(("sample_",), samples, "second sample"),
        "split": Coordinate(("sample",), split, "training or test sample"),
        "mode": Coordinate(("mode",), np.arange(followed * data.outputs), "eigenvalue"),
    }
    if train:
        coords["train"] = Coordinate(("train",), samples[:train], "training sample")
    if problem.network.positions > 1:
        places = np.arange(problem.network.positions)
        coords["position"] = Coordinate(("position",), places, "position, row after row")
    if data.outputs > 1:
        for name in ("output", "output_"):
            coords[name] = Coordinate((name,), np.arange(data.outputs), "output")
    return coords
