"""One-pass SGD: seconds of the overlap equations, of the chain and of direct training.

The error of a run is its root-mean-square deviation from the equations, of order N^-1/2; the
equations' own is the step-size error, far below. All at (p, p*) = (4, 2). The peer of the equations
is `scipy.integrate.solve_ivp` (DOP853) on them in plain NumPy, one trajectory after another, with
the same tolerances and times. Errors of both are deviations from a run of it at 1e-12.
"""

import time
from typing import Any

import isolated
import numpy as np
from scipy.integrate import solve_ivp

import orderparam as op

ATTEMPTS = 5
SAVE = op.SavePlan(steps=201)
TIMED = 20
"""Trajectories of the peer that are timed; the others are taken to last as long."""


def _problem(draws: int | None, duration: float) -> op.online.TeacherStudent:
    start = op.online.random_overlaps(4, 2, 1000, draws=draws, norm=2 / 3)
    return op.online.TeacherStudent(start, learning_rate=0.1, duration=duration)


def equations(draws: int | None, duration: float) -> dict[str, Any]:
    """Seconds of a solve, first (with compilation) and best of several later ones."""
    seconds, busy, inner = [], [], []
    problem = _problem(draws, duration)
    for _ in range(1 + ATTEMPTS):
        began, used = time.perf_counter(), time.process_time()
        solution = op.solve(problem, save=SAVE, progress=False)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - used)
        inner.append(solution.dataset.attrs["wall_time"])
    return {
        "first": seconds[0],
        "run": min(seconds[1:]),
        "cpu": min(busy[1:]),
        "integration": min(inner[1:]),
        "final_loss": float(np.mean(solution["loss"].values[..., -1])),
        **peer(problem, solution),
    }


def peer(problem: op.online.TeacherStudent, solution: Any) -> dict[str, float]:
    """Seconds of the processor of SciPy for all trajectories, and the errors of both in Q."""
    start, times = problem.start.flat(), problem.times(SAVE)
    found = np.broadcast_to(solution["Q"].values, (len(start.Q), len(times), *start.Q.shape[1:]))
    spent, own, other = [], 0.0, 0.0
    for index in range(min(TIMED, len(start.Q))):
        first = (start.Q[index], start.M[index], start.T[index])
        began = time.process_time()
        Q = plain(problem, first, times, 1e-8, 1e-10)
        spent.append(time.process_time() - began)
        right = plain(problem, first, times, 1e-12, 1e-14)
        own = max(own, float(np.abs(found[index] - right).max()))
        other = max(other, float(np.abs(Q - right).max()))
    total = float(np.median(spent)) * len(start.Q)
    return {"scipy_cpu": total, "error": own, "scipy_error": other}


def plain(
    problem: op.online.TeacherStudent,
    first: tuple[np.ndarray, ...],
    times: np.ndarray,
    rtol: float,
    atol: float,
) -> np.ndarray:
    """Q at the times: the equations of the quadratic activation as one would write them down."""
    Q, M, T = first
    A, B, eta = np.diag(problem.A), np.diag(problem.B), problem.learning_rate
    size = Q.size

    def velocity(_: float, y: np.ndarray) -> np.ndarray:
        Q, M = y[:size].reshape(Q0), y[size:].reshape(M0)
        AQ, AM, BM, BT = A @ Q, A @ M, B @ M.T, B @ T
        m = np.trace(AQ) - np.trace(BT)
        tau = np.sum(AQ * AQ.T) - 2 * np.sum(AM * BM.T) + np.sum(BT * BT.T)
        G, H = Q @ AQ - M @ BM, Q @ AM - M @ BT
        square = (m**2 + 2 * tau) * Q + 4 * m * G + 8 * (G @ AQ - H @ BM)
        pull = A @ (2 * m * Q + 4 * G)
        dQ = -eta * (pull + pull.T) + 4 * eta**2 * A @ square @ A
        return np.concatenate([dQ.ravel(), (-eta * A @ (2 * m * M + 4 * H)).ravel()])

    Q0, M0 = Q.shape, M.shape
    y = np.concatenate([Q.ravel(), M.ravel()])
    span = (times[0], times[-1])
    ran = solve_ivp(velocity, span, y, "DOP853", t_eval=times, rtol=rtol, atol=atol)
    return ran.y.T[:, :size].reshape(-1, *Q0)


def simulation(simulator: str, dimension: int, runs: int, duration: float) -> dict[str, Any]:
    """Seconds of training `runs` students from O(1) overlaps, and their deviation."""
    start = op.online.random_overlaps(4, 2, 10, seed=3)
    problem = op.online.TeacherStudent(start, learning_rate=0.1, duration=duration)
    theory = op.solve(problem, save=SAVE, progress=False)
    seconds, found = [], None
    for _ in range(3):
        began = time.perf_counter()
        found = op.simulate(
            problem, dimension=dimension, seeds=runs, simulator=simulator, save=SAVE, progress=False
        )
        seconds.append(time.perf_counter() - began)
    assert found is not None
    deviation = float(np.sqrt(np.mean((found["Q"] - theory["Q"]).values ** 2)))
    steps = duration * dimension * runs
    return {
        "first": seconds[0],
        "run": min(seconds[1:]),
        "per_step": min(seconds[1:]) / steps,
        "deviation": deviation,
    }


def measure(quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """All rows, each in a process of its own."""
    del results
    rows = {
        "one trajectory to t = 1000": isolated.call(
            "online:equations", draws=None, duration=1000.0
        ),
        "1000 trajectories to t = 100": isolated.call(
            "online:equations", draws=1000, duration=100.0
        ),
    }
    for simulator, runs in (("chain", 128), ("direct", 4)):
        rows[f"{simulator}, N = 1000, {runs} runs"] = isolated.call(
            "online:simulation",
            simulator=simulator,
            dimension=1000,
            runs=runs,
            duration=2.0 if quick else 20.0,
        )
    return rows


def table(measured: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = ["what                            first s    run s  note"]
    for name, row in measured.items():
        note = ""
        if "per_step" in row:
            note = f"{row['per_step'] * 1e6:.2f} us a step and run, rms deviation of Q "
            note += f"{row['deviation']:.3f}"
        else:
            note = f"integration {row['integration'] * 1e3:.1f} ms, cpu {row['cpu'] * 1e3:.1f} ms, "
            note += f"error {row['error']:.0e}; SciPy cpu {row['scipy_cpu'] * 1e3:.1f} ms, "
            note += f"error {row['scipy_error']:.0e}"
        lines.append(f"{name:30}  {row['first']:7.2f}  {row['run']:7.3f}  {note}")
    return lines
