"""Figures of fluctuations show the theory, and ensembles with their errors."""

import numpy as np

from orderparam.fluctuations.evidence.figures import FIGURES
from orderparam.results import Coordinate, Variable, Verdict, build_solution
from orderparam.results.pair import Pair

TIMES = np.arange(4)
SAMPLES = np.array(["train", "train", "train", "test"])


def made(kind, f, loss, leading, se):
    """A result with N Var of predictions and of the loss."""
    dims = (*leading, "time")
    error = np.full(f.shape, se) if se else None
    coords = {
        "time": Coordinate(("time",), TIMES, "step"),
        "eta_t": Coordinate(("time",), 0.1 * TIMES, "time"),
        "sample": Coordinate(("sample",), np.arange(4), "sample"),
        "split": Coordinate(("sample",), SAMPLES, "split"),
    }
    if leading:
        coords["width"] = Coordinate(("width",), np.array([8, 16]), "width")
        coords["seed"] = Coordinate(("seed",), np.arange(5), "run")
    return build_solution(
        {
            "f_nvar": Variable((*dims, "sample"), f, "variance", "V", se=error),
            "loss_nvar": Variable(dims, loss, "variance", "W"),
        },
        coords, family="fluctuations", kind=kind, problem={}, method={}, seed=0,
        verdict=Verdict.CONVERGED, message="Made.", diagnostics={}, precision="float64",
        device="cpu", wall_time=0.0, compile_time=None, sources=[],
    )  # fmt: skip


def test_variances_are_drawn_with_both_errors():
    rng = np.random.default_rng(0)
    theory = made("theory", rng.uniform(size=(4, 4)), rng.uniform(size=4), (), 0.1)
    runs = rng.uniform(size=(2, 5, 4, 4))
    networks = made("experiment", runs, runs.mean(axis=-1), ("width", "seed"), None)
    figure = FIGURES["variance"].draw([Pair(theory, networks)])
    figure.draw_without_rendering()
    left, right = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    assert [name for name in lines if not name.startswith("_")] == [
        *(f"train sample {n}" for n in range(3)), "test sample 3"
    ]  # fmt: skip
    np.testing.assert_array_equal(lines["train sample 1"], theory["f_nvar"][:, 1])
    shown = [np.asarray(c.lines[0].get_ydata()) for c in left.containers]
    assert any(np.allclose(y, runs[1, :, :, 1].mean(axis=0)) for y in shown)
    bars = right.containers[0].lines[2][0].get_segments()
    error = runs.mean(axis=-1)[0].std(axis=0, ddof=1) / np.sqrt(5)
    np.testing.assert_allclose([bar[1, 1] - bar[0, 1] for bar in bars], 2 * error)


def test_overviews_are_drawn():
    rng = np.random.default_rng(0)
    theory = made("theory", rng.uniform(size=(4, 4)), rng.uniform(size=4), (), 0.1)
    theory.plot().draw_without_rendering()
