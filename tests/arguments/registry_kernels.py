"""Data and kernel evolution: each constructor and function with a call that works."""

import functools
import pathlib
import tempfile
from typing import Any

import jax.numpy as jnp
import numpy as np
from case import Case

import orderparam as op


@functools.cache
def _folder() -> pathlib.Path:
    return pathlib.Path(tempfile.mkdtemp())


@functools.cache
def table_file() -> pathlib.Path:
    """A small table on disk."""
    path = _folder() / "table.csv"
    path.write_text("a,b,y\n1,2,-1\n3,5,1\n4,4,1\n", encoding="utf-8")
    return path


@functools.cache
def image_folder() -> pathlib.Path:
    """Four images in each batch of CIFAR-10."""
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        records = rng.integers(0, 256, (4, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(4)
        (_folder() / f"{name}.bin").write_bytes(records.tobytes())
    return _folder()


X = np.array([[1.0, 0.5], [0.0, 1.0], [2.0, -1.0]])
Y = np.array([-1.0, 1.0, 1.0])


def data_cases() -> list[Case]:
    """Data sets."""
    d = op.data
    test = {"x_test": X[:1], "y_test": Y[:1]}
    table = dict.fromkeys(("x", "y"), "table ints reals real")
    table |= dict.fromkeys(("x_test", "y_test"), "table ints reals real none")
    return [
        Case("data.Data", d.Data, {"x": X, "y": Y, **test}, accepts=table),
        Case("data.from_arrays", d.from_arrays, {"x": X, "y": Y, **test}, accepts=table),
        Case("data.from_file", d.from_file, {"path": table_file(), "target": "y"}),
        Case("data.cifar10", d.cifar10, {"folder": image_folder(), "count": 1}),
        Case("data.digits", d.digits, {"count": 2}),
        Case("data.gaussian", d.gaussian, {"count": 3, "dimension": 2}),
        Case("data.teacher", d.teacher, {"count": 3, "dimension": 2}),
    ]


@functools.cache
def points() -> Any:
    """Two points."""
    return op.data.Data([[1.0, 0.0], [0.0, 1.0]], [-1.0, 1.0])


@functools.cache
def descent() -> Any:
    """A small problem of kernel evolution."""
    return op.kernels.KernelEvolution(op.kernels.MLP(1, "linear"), points(), steps=3)


def kernel_cases() -> list[Case]:
    """Networks, methods and problems of kernel evolution."""
    k = op.kernels
    return [
        Case("kernels.MLP", k.MLP, {"depth": 2, "biases": True, "bias_std": 0.5}),
        Case("kernels.ResNet", k.ResNet, {"depth": 2, "branch_exponent": 1.0}),
        Case("kernels.CNN", k.CNN, {"depth": 2, "shape": (4, 4)}),
        Case("kernels.Activation", k.Activation, {"name": "sine", "function": jnp.sin}),
        Case("kernels.activation", k.activation, {"spec": "tanh"}, said={"spec": "activation"}),
        Case("kernels.scaled_tanh", k.scaled_tanh, {"beta": 0.5}),
        Case("kernels.cosine", k.cosine, {"steps": 5, "warmup": 2}),
        Case("kernels.Batches", k.Batches, {"size": 2}),
        Case(
            "kernels.KernelEvolution",
            k.KernelEvolution,
            {"network": k.MLP(1, "linear"), "data": points(), "steps": 3},
        ),
        Case("kernels.Causal", k.Causal, {"samples": 64, "capacity": 8}),
        Case("kernels.Alternating", k.Alternating, {"samples": 64}),
        Case("kernels.Perturbation", k.Perturbation, {"samples": 64}),
        Case("kernels.GradientIndependence", k.GradientIndependence, {"samples": 64}),
        Case("kernels.LinearKernels", k.LinearKernels),
        Case("kernels.ExactLinear", k.ExactLinear),
        Case(
            "kernels.batched",
            k.batched,
            {
                "problem": descent(),
                "gamma0": [0.5],
                "method": k.Causal(64, 2, capacity=16, accuracy=10.0),
                "save": op.SavePlan(steps=2),
                "progress": False,
            },
            dear=90,
        ),
    ]
