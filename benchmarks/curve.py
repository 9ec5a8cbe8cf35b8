"""Seconds against error: the theory beside the cheapest ensemble of networks, B0, one core.

For both sides "error" is the worst of three: three seeds of the theory, three disjoint ensembles,
each with max over t of |mse - reference| / reference(0). The theory is measured at each setting.
The mean of n networks of width N deviates by b(t) / N + z(t) / sqrt(N n), z Gaussian: b and the
covariance of z are estimated from trained networks, seconds of one network are a power of N, and
the cheapest (N, n) is sought among all widths that are powers of two. So ensembles that nobody
would train are counted at the cost that they would have, and `trained` says which were.
"""

from pathlib import Path
from typing import Any

import isolated
import networks
import numpy as np
import problems
from jaxtyping import Float

TARGETS = (0.03, 0.01, 0.003, 0.001)
WIDTHS = (128, 256, 512, 1024, 2048)
BUDGET = 25.0
"""Seconds of training for each width, at most."""

SETTINGS = (
    (512, 2, 3e-2),
    (1024, 2, 3e-2),
    (2048, 2, 3e-2),
    (2048, 2, 1e-2),
    (4096, 2, 3e-3),
    (8192, 4, 1e-3),
    (16384, 4, 1e-3),
)
"""Samples, replicates and tolerance of the theory."""

QUICK = ((1024, 2, 1e-2),)
CANDIDATES = tuple(2**k for k in range(7, 18))
DRAWS = 200
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "cost-of-accuracy.png"

Rows = list[dict[str, Any]]


def deviation_law(
    trained: Rows, truth: Float[np.ndarray, " step"]
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, "time time"]]:
    """Lag b(t) and covariance of z(t) of networks, from all widths together."""
    lags, covariances, weights, runs = [], [], [], []
    for row in trained:
        curves, width = np.array(row["curves"]), row["width"]
        lags.append(width * (curves.mean(axis=0) - truth[np.array(row["steps"])]))
        covariances.append(width * np.cov(curves.T, ddof=1))
        weights.append(len(curves) / width)  # inverse variance of the lag
        runs.append(len(curves) - 1)
    lag = np.average(lags, axis=0, weights=weights)
    return lag, np.average(covariances, axis=0, weights=runs)


def seconds_law(trained: Rows) -> tuple[float, float]:
    """Factor and exponent of the seconds of one network, from the two largest widths."""
    (n1, s1), (n2, s2) = [(row["width"], row["cpu_seconds"]) for row in trained[-2:]]
    power = float(np.log(s2 / s1) / np.log(n2 / n1))
    return s2 / n2**power, power


def needed(
    lag: Float[np.ndarray, " time"],
    draws: Float[np.ndarray, "draw group time"],
    scale: float,
    target: float,
) -> int | None:
    """Fewest networks whose expected worst error of three groups is within the target, if any.

    Args:
        lag: Lag of the mean of any number of networks of this width.
        draws: Deviations of one network of this width from its mean.
        scale: Start of the curve, the unit of the error.
        target: Largest error.
    """

    def error(count: int) -> float:
        deviations = np.abs(lag + draws / np.sqrt(count)).max(axis=2)
        return float(deviations.max(axis=1).mean()) / scale

    if np.abs(lag).max() / scale >= target:
        return None
    low, high = 0, 1
    while error(high) > target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if error(middle) > target else (low, middle)
    return high


def ensembles(trained: Rows, truth: Float[np.ndarray, " step"]) -> Rows:
    """Cheapest ensemble for each target."""
    lag, covariance = deviation_law(trained, truth)
    factor, power = seconds_law(trained)
    known = {row["width"]: row for row in trained}
    normals = np.random.default_rng(0).multivariate_normal(
        np.zeros(len(lag)), covariance, (DRAWS, networks.GROUPS), method="eigh"
    )
    rows = []
    for target in TARGETS:
        options = []
        for width in CANDIDATES:
            count = needed(lag / width, normals / np.sqrt(width), float(truth[0]), target)
            if count is None:
                continue
            each = known[width]["cpu_seconds"] if width in known else factor * width**power
            enough = width in known and networks.GROUPS * count <= known[width]["networks"]
            options.append(
                {"width": width, "networks": count, "seconds": count * each, "trained": enough}
            )
        rows.append({"target": target, **min(options, key=lambda option: option["seconds"])})
    return rows


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Both cost curves, on the small sister if `quick`, else on B0."""
    del results
    name = "sister" if quick else "b0"
    widths, budget = ((128, 256), 4.0) if quick else (WIDTHS, BUDGET)
    truth, se = problems.reference(name)
    theory = [
        isolated.call("accuracy:attempt", name=name, samples=s, replicates=r, tolerance=t)
        for s, r, t in (QUICK if quick else SETTINGS)
    ]
    trained = [isolated.call("networks:train", name=name, width=w, budget=budget) for w in widths]
    rows = ensembles(trained, truth)
    for row in rows:
        within = [t["run_cpu_seconds"] for t in theory if t["error"] <= row["target"]]
        row["theory_seconds"] = min(within, default=None)
        row["ratio"] = min(within) / row["seconds"] if within else None
    reference_error = float(se.max() / truth[0])
    measured = {"problem": name, "theory": theory, "rows": rows, "reference": reference_error}
    if not quick:
        draw(measured)
    return measured


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [f"{measured['problem']}; the reference itself is known to {measured['reference']:.2%}"]
    lines.append("theory: samples  repl.  toler.  CPU s   error (worst of 3)")
    for row in measured["theory"]:
        lines.append(
            f"{row['samples']:15}  {row['replicates']:5}  {row['tolerance']:6.0e}  "
            f"{row['run_cpu_seconds']:5.2f}  {row['error']:10.2%}"
        )
    lines.append("target  cheapest ensemble       CPU s    theory s  theory / ensemble")
    for row in measured["rows"]:
        ensemble = f"{row['networks']} of width {row['width']}" + ("" if row["trained"] else " *")
        if row["theory_seconds"] is None:
            theory = "not reached"
        else:
            theory = f"{row['theory_seconds']:8.2f}  {row['ratio']:8.3f}"
        lines.append(f"{row['target']:6.1%}  {ensemble:22}  {row['seconds']:7.2f}  {theory}")
    return [*lines, "* cost from the fitted law; the other ensembles were trained three times over"]


def draw(measured: dict[str, Any]) -> None:
    """Save the figure of both curves."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
    theory = sorted(measured["theory"], key=lambda row: row["run_cpu_seconds"])
    axis.loglog(
        [row["run_cpu_seconds"] for row in theory],
        [100 * row["error"] for row in theory],
        "o-",
        label="infinite-width theory (measured)",
    )
    rows = measured["rows"]
    axis.loglog(
        [row["seconds"] for row in rows], [100 * row["target"] for row in rows], "k--", lw=1,
        label="cheapest ensemble of networks",
    )  # fmt: skip
    for row in rows:
        face = "k" if row["trained"] else "none"
        axis.plot(row["seconds"], 100 * row["target"], "ks", mfc=face)
        label = f"{row['networks']} × N = {row['width']}"
        axis.annotate(label, (row["seconds"], 100 * row["target"]), (5, 5), None, "offset points")
    axis.set_xlabel("processor seconds, once compiled (one core)")
    axis.set_ylabel("largest error of the loss curve (% of its start)")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(FIGURE, dpi=160)
    plt.close(figure)
