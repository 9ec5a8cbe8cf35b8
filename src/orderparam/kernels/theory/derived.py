"""What follows from predictions and kernels: losses, error signals, alignments, eigenvalues."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.kernels.model.losses import loss_named
from orderparam.kernels.problem import KernelEvolution
from orderparam.support.settings import library_settings

Arrays = dict[str, Float[np.ndarray, "..."]]


def derived(problem: KernelEvolution, measured: Mapping[str, Float[np.ndarray, "..."]]) -> Arrays:
    """Complete what was measured, whose axes end as in the glossary.

    Takes `f` (..., sample, output), `Phi` (..., layer, sample, sample), `G` and `ntk` (..., field,
    field) over samples times outputs and, where train samples are used once, `loss` (...). With one
    output the axes of outputs are dropped.

    The alignment of a kernel K with labels Y is `Tr(Y^T K Y) / (|K|_F |Y Y^T|_F)` over training
    samples (test samples where those are followed alone), K averaged over outputs.
    """
    data, f = problem.data, measured["f"]
    train = 0 if problem.one_pass else data.count
    out = {"f": f, "Phi": measured["Phi"]}
    out |= _losses(problem, f, train, measured)
    labels = data.targets() if train else _test_targets(data)
    followed = slice(0, train or data.test_count)
    ntk = _by_output(measured["ntk"], data.outputs)
    fields = {"G": _by_output(measured["G"], data.outputs), "ntk": ntk}
    block = ntk[..., followed, :, followed, :]
    if labels is not None:
        mean = np.einsum("...icjc->...ij", block) / data.outputs
        out["alignment"] = _alignment(mean, labels)
        out["Phi_alignment"] = _alignment(measured["Phi"][..., followed, followed], labels)
    size = block.shape[-2] * block.shape[-1]
    square = np.nan_to_num(block).reshape(*block.shape[:-4], size, size)
    out["ntk_eigenvalues"] = np.linalg.eigvalsh(square)[..., ::-1]
    if data.outputs == 1:
        out["f"] = f[..., 0]
        fields = {name: value[..., 0, :, 0] for name, value in fields.items()}
    return out | fields


def _losses(
    problem: KernelEvolution, f: Float[np.ndarray, "..."], train: int, measured: Mapping[str, Any]
) -> Arrays:
    """Losses and error signals in double precision, whatever the caller's setting."""
    data, loss = problem.data, loss_named(problem.loss)
    out: Arrays = {}
    # Losses of a run that diverged overflow, which its verdict says.
    with library_settings(), np.errstate(over="ignore", invalid="ignore"):
        if train:
            y = data.targets()
            out["Delta"] = np.asarray(loss.signal(f[..., :train, :], y))
            out["loss"] = np.asarray(loss.value(f[..., :train, :], y)).mean(axis=-1)
            if data.outputs == 1:
                out["Delta"] = out["Delta"][..., 0]
        else:
            out["loss"] = np.asarray(measured["loss"])
        targets = _test_targets(data)
        if targets is not None:
            out["test_loss"] = np.asarray(loss.value(f[..., train:, :], targets)).mean(axis=-1)
    if problem.loss == "squared":
        out |= {n.replace("loss", "mse"): 2 * v for n, v in out.items() if n.endswith("loss")}
    return out


def _test_targets(data: Any) -> Float[np.ndarray, "test output"] | None:
    return None if data.y_test is None else data.y_test.reshape(data.test_count, -1)


def _by_output(
    kernel: Float[np.ndarray, "*lead field field_"], outputs: int
) -> Float[np.ndarray, "*lead sample output sample_ output_"]:
    """Separate the axes of samples and outputs."""
    samples = kernel.shape[-1] // outputs
    return kernel.reshape(*kernel.shape[:-2], samples, outputs, samples, outputs)


def _alignment(
    kernel: Float[np.ndarray, "*lead sample sample"], y: Float[np.ndarray, "sample output"]
) -> Float[np.ndarray, "*lead"]:
    size = np.linalg.norm(kernel, axis=(-2, -1)) * np.linalg.norm(y @ y.T)
    overlap = np.einsum("ic,...ij,jc->...", y, kernel, y, optimize=True)
    return np.divide(overlap, size, out=np.zeros_like(overlap), where=~(size == 0))
