"""The names of kernel evolution: symbol, code name, dimensions, meaning, once for all results."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from orderparam.results import Coordinate, Variable

KERNEL = ("time", "layer", "sample", "sample_")

GLOSSARY: dict[str, tuple[tuple[str, ...], str, str]] = {
    "loss": (("time",), "training loss, 1/2 mean (f - y)^2", r"\mathcal{L}"),
    "mse": (("time",), "training error, mean (f - y)^2", r"\langle\Delta^2\rangle"),
    "test_mse": (("time",), "test error, mean (f - y)^2", r"\langle\Delta^2\rangle_{test}"),
    "f": (("time", "sample"), "prediction", "f"),
    "Delta": (("time", "train"), "residual y - f of training samples", r"\Delta"),
    "Phi": (KERNEL, "feature kernel of each hidden layer", r"\Phi^\ell"),
    "G": (KERNEL, "gradient kernel of each hidden layer", r"G^\ell"),
    "ntk": (("time", "sample", "sample_"), "neural tangent kernel", "K"),
    "alignment": (("time",), "alignment of the tangent kernel with the labels", "A(K, yy^T)"),
    "Phi_alignment": (
        ("time", "layer"),
        "alignment of the feature kernels with the labels",
        r"A(\Phi^\ell, yy^T)",
    ),
    "Phi_two": (
        ("layer", "time", "time_", "sample", "sample_"),
        "feature kernels between two steps",
        r"\Phi^\ell(t,s)",
    ),
    "G_two": (
        ("layer", "time", "time_", "sample", "sample_"),
        "gradient kernels between two steps",
        r"G^\ell(t,s)",
    ),
    "h": (("field_time", "layer", "sample", "neuron"), "preactivations of single neurons", "h"),
    "z": (("field_time", "layer", "sample", "neuron"), "backward fields of single neurons", "z"),
}
"""Dimensions, meaning and LaTeX symbol of every variable."""


def variable(
    name: str,
    values: Float[np.ndarray, "..."],
    se: Float[np.ndarray, "..."] | None = None,
    leading: tuple[str, ...] = (),
) -> Variable:
    """A variable of the glossary, with extra `leading` dimensions where a result has them."""
    dims, meaning, symbol = GLOSSARY[name]
    return Variable((*leading, *dims), values, meaning, symbol, se=se)


def derived(
    y: Float[np.ndarray, " train"],
    y_test: Float[np.ndarray, " test"] | None,
    measured: Mapping[str, Float[np.ndarray, "..."]],
) -> dict[str, Float[np.ndarray, "..."]]:
    """Quantities that follow from f, Phi, G and the tangent kernel, whose axes end as in GLOSSARY.

    The alignment of a kernel K is `y^T K y / (|K|_F |y|^2)` over training samples.
    """
    train = len(y)
    f = measured["f"]
    delta = y - f[..., :train]
    out = {**measured, "Delta": delta, "mse": np.mean(delta**2, axis=-1)}
    out["loss"] = out["mse"] / 2
    if y_test is not None:
        out["test_mse"] = np.mean((y_test - f[..., train:]) ** 2, axis=-1)
    out["alignment"] = _alignment(measured["ntk"], y)
    out["Phi_alignment"] = _alignment(measured["Phi"], y)
    return out


def _alignment(
    kernel: Float[np.ndarray, "*lead sample sample"], y: Float[np.ndarray, " train"]
) -> Float[np.ndarray, "*lead"]:
    block = kernel[..., : len(y), : len(y)]
    size = np.linalg.norm(block, axis=(-2, -1)) * (y @ y)
    overlap = np.einsum("i,...ij,j->...", y, block, y)
    return np.divide(overlap, size, out=np.zeros_like(overlap), where=size > 0)


def coordinates(
    steps: np.ndarray, learning_rate: float, train: int, test: int, depth: int
) -> dict[str, Coordinate]:
    """Coordinates that theory and experiment share."""
    samples = np.arange(train + test)
    split = np.where(samples < train, "train", "test")
    return {
        "time": Coordinate(("time",), steps, "step of gradient descent", "steps"),
        "eta_t": Coordinate(("time",), learning_rate * steps, "learning rate times step"),
        "layer": Coordinate(("layer",), np.arange(1, depth + 1), "hidden layer"),
        "sample": Coordinate(("sample",), samples, "sample, training ones first"),
        "sample_": Coordinate(("sample_",), samples, "second sample"),
        "split": Coordinate(("sample",), split, "training or test sample"),
        "train": Coordinate(("train",), samples[:train], "training sample"),
    }
