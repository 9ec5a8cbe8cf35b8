"""Quantities derived from the predictions and kernels of networks, and their labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

from orderparam.data import Data
from orderparam.results import Coordinate, Variable

_RUNS = ("width", "seed")
_KERNEL = ("time", "layer", "sample", "sample_")
_TWO_TIME = ("layer", "time", "time_", "sample", "sample_")
_FIELD = ("field_time", "layer", "sample", "neuron")
_LABELS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "loss": ((*_RUNS, "time"), "training loss, half the mean squared error", r"\mathcal{L}"),
    "mse": ((*_RUNS, "time"), "mean squared error on the training samples", r"\mathrm{mse}"),
    "test_mse": ((*_RUNS, "time"), "mean squared error on the test samples", r"\mathrm{mse}"),
    "f": ((*_RUNS, "time", "sample"), "prediction", "f"),
    "Delta": ((*_RUNS, "time", "train"), "error signal y - f", r"\Delta"),
    "Phi": ((*_RUNS, *_KERNEL), "feature kernel", r"\Phi"),
    "G": ((*_RUNS, *_KERNEL), "gradient kernel", "G"),
    "ntk": ((*_RUNS, "time", "sample", "sample_"), "neural tangent kernel", "K"),
    "alignment": ((*_RUNS, "time"), "alignment of the tangent kernel with the labels", "A(K)"),
    "Phi_alignment": (
        (*_RUNS, "time", "layer"),
        "alignment of the feature kernels with the labels",
        r"A(\Phi)",
    ),
    "Phi_two": ((*_RUNS, *_TWO_TIME), "feature kernel between two times", r"\Phi"),
    "G_two": ((*_RUNS, *_TWO_TIME), "gradient kernel between two times", "G"),
    "h": (_FIELD, "preactivations of the neurons of the widest networks", "h"),
    "z": (_FIELD, "backward fields of the neurons of the widest networks", "z"),
    "run_valid": (_RUNS, "whether the run was made", ""),
}


def derive(
    f: Float[np.ndarray, "width seed time sample"],
    Phi: Float[np.ndarray, "width seed time layer sample sample_"],
    G: Float[np.ndarray, "width seed time layer sample sample_"],
    data: Data,
) -> dict[str, Float[np.ndarray, "..."]]:
    """Errors, tangent kernel and alignments of networks.

    K = Σ_{l=0}^{L} G^{l+1} Φ^l with Φ^0 = x·x/D and G^{L+1} = 1;  A(K) = y·Ky/(|K| |y|²), where y
    and K are those of the training samples and |K| is the Frobenius norm.

    Returns:
        `loss`, `mse`, `test_mse` (with test labels only), `Delta`, `ntk`, `alignment` and
        `Phi_alignment`.
    """
    P = data.y.size
    x = np.concatenate([data.x, data.x_test])
    ntk = G[..., 0, :, :] * (x @ x.T / x.shape[1]) + Phi[..., -1, :, :]
    ntk += np.einsum("...lmn,...lmn->...mn", G[..., 1:, :, :], Phi[..., :-1, :, :])
    Delta = data.y - f[..., :P]
    mse = np.mean(Delta**2, axis=-1)
    derived = {
        "loss": mse / 2,
        "mse": mse,
        "Delta": Delta,
        "ntk": ntk,
        "alignment": _alignment(ntk[..., :P, :P], data.y),
        "Phi_alignment": _alignment(Phi[..., :P, :P], data.y),
    }
    if data.y_test is not None:
        derived["test_mse"] = np.mean((data.y_test - f[..., P:]) ** 2, axis=-1)
    return derived


def _alignment(
    kernel: Float[np.ndarray, "*batch train train_"], y: Float[np.ndarray, " train"]
) -> Float[np.ndarray, "*batch"]:
    """y·Ky/(|K| |y|²), and 0 where a norm is 0 (all labels or features vanish)."""
    overlap = np.einsum("m,...mn,n->...", y, kernel, y)
    scale = np.linalg.norm(kernel, axis=(-2, -1)) * (y @ y)
    return np.divide(overlap, scale, out=np.zeros_like(overlap), where=scale != 0)


def label_variables(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> dict[str, Variable]:
    """Attach dimensions, meaning and symbol to the arrays of networks."""
    chosen = {name: label for name, label in _LABELS.items() if name in arrays}
    return {
        name: Variable(dims, arrays[name], long_name, symbol=symbol)
        for name, (dims, long_name, symbol) in chosen.items()
    }


def label_coordinates(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    data: Data,
    widths: Sequence[int],
    grid: Int[np.ndarray, " time"],
    learning_rate: float,
    fields_at: Int[np.ndarray, " field_time"],
) -> dict[str, Coordinate]:
    """Coordinates of every dimension that `arrays` use."""
    P, S, L = data.y.size, arrays["f"].shape[-1], arrays["Phi"].shape[3]
    split = np.where(np.arange(S) < P, "train", "test")
    coords = {
        "width": Coordinate(("width",), np.asarray(widths), "width N of the networks"),
        "seed": Coordinate(("seed",), np.arange(arrays["f"].shape[1]), "index of the run"),
        "time": Coordinate(("time",), grid, "training time", "steps"),
        "eta_t": Coordinate(("time",), learning_rate * grid, "learning rate times step"),
        "layer": Coordinate(("layer",), np.arange(1, L + 1), "hidden layer"),
        "sample": Coordinate(("sample",), np.arange(S), "sample, training samples first"),
        "sample_": Coordinate(("sample_",), np.arange(S), "second sample"),
        "split": Coordinate(("sample",), split, "set that the sample belongs to"),
        "train": Coordinate(("train",), np.arange(P), "training sample"),
    }
    if "Phi_two" in arrays:
        coords["time_"] = Coordinate(("time_",), grid, "second training time", "steps")
    if "h" in arrays:
        coords["field_time"] = Coordinate(
            ("field_time",), fields_at, "training time of the saved fields", "steps"
        )
    return coords
