"""Overlap equations against one-pass SGD, direct and reduced, and the chain against SGD."""

import numpy as np
import pytest
from scipy import stats

import orderparam as op

SAVE = op.SavePlan(steps=11)
Q0 = [[1.0, 0.2, 0.0], [0.2, 0.8, 0.1], [0.0, 0.1, 1.0]]
M0 = [[0.3, 0.1], [-0.1, 0.4], [0.2, 0.0]]
START = op.online.Overlaps(Q=Q0, M=M0)
UNIT = op.online.Overlaps(Q=np.eye(3), M=M0)
BINS = op.online.InputSpectrum([2.0, 1.0, 0.5, 0.1])
VARIANTS = {
    "noisy": {"label_noise": 0.1},
    "signs": {"second_layer": [1.0, -0.5, 1.5], "duration": 6.0, "learning_rate": 0.2},
    "decay": {"weight_decay": 0.2},
    "spherical": {"start": UNIT, "spherical": True},
    "second": {"second_layer_rate": 1.0, "centering": "constant"},
    "population": {"centering": "population"},
    "erf": {
        "activation": "erf_scaled",
        "normalisation": "one",
        "learning_rate": 0.5,
        "duration": 6.0,
    },
    "relu": {"activation": "relu", "learning_rate": 1.0, "duration": 6.0},
    "schedule": {"schedule": (1.0, 0.3, 0.6), "label_noise": 0.1, "second_layer_rate": 0.5},
    "bins": {"spectrum": BINS, "label_noise": 0.1, "schedule": lambda t: 1 / (1 + t / 8)},
    "tanh": {"activation": "tanh", "learning_rate": 1.0, "duration": 6.0, "label_noise": 0.1},
    "bins-gelu": {"spectrum": BINS, "activation": "gelu", "learning_rate": 1.0},
    "bins-erf": {"spectrum": BINS, "activation": "erf_scaled", "learning_rate": 0.5},
    "bins-relu": {"spectrum": BINS, "activation": "relu", "learning_rate": 1.0},
    "bins-population": {"spectrum": BINS, "centering": "population", "weight_decay": 0.1},
    "bins-spherical": {"start": UNIT, "spectrum": BINS, "spherical": True},
}
LONG = ("schedule", "bins-gelu", "bins-erf", "bins-relu", "bins-population", "bins-spherical")


def problem(name):
    settings = {"start": START, "learning_rate": 0.3, "duration": 8.0} | VARIANTS.get(name, {})
    return op.online.TeacherStudent(**settings)


FAST = ("noisy", "second", "erf", "bins")
NAMES = [
    name if name in FAST else pytest.param(name, marks=pytest.mark.validate) for name in VARIANTS
]


@pytest.mark.parametrize("name", NAMES)
def test_reduced_chain_agrees_with_the_equations(name):
    task = problem(name)
    theory = op.solve(task, save=SAVE)
    runs = op.simulate(
        task, dimension=(400, 1000, 4000), seeds=(48, 48, 32), simulator="chain", save=SAVE
    )
    agreement = op.compare(theory, runs)
    assert agreement.verdict != "fail", str(agreement)
    flow = op.solve(task, op.online.OverlapODE(sgd_noise=False), save=SAVE)
    assert op.compare(flow, runs).verdict == "fail"


@pytest.mark.parametrize(
    "name",
    ["noisy", "tanh", *(pytest.param(n, marks=pytest.mark.validate) for n in ("bins", *LONG))],
)
def test_direct_sgd_agrees_with_the_equations(name):
    task = problem(name)
    theory = op.solve(task, save=SAVE)
    runs = op.simulate(task, dimension=(300, 600, 1200), seeds=(16, 16, 16), save=SAVE)
    agreement = op.compare(theory, runs)
    assert agreement.verdict in (("pass",) if name == "noisy" else ("pass", "undecided"))
    flow = op.solve(task, op.online.OverlapODE(sgd_noise=False), save=SAVE)
    assert op.compare(flow, runs).verdict == "fail"


@pytest.mark.validate
@pytest.mark.parametrize(
    "changes", [{"momentum": 0.8, "learning_rate": 0.06}, {"batch_size": 4, "learning_rate": 0.6}]
)
def test_momentum_and_batches_in_direct_sgd(changes):
    task = op.online.TeacherStudent(START, duration=5.0, **changes)
    runs = op.simulate(task, dimension=(300, 600, 1200), seeds=(12, 12, 12), save=SAVE)
    agreement = op.compare(op.solve(task, save=SAVE), runs)
    assert agreement.verdict != "fail", str(agreement)
    flow = op.solve(task, op.online.OverlapODE(sgd_noise=False), save=SAVE)
    assert op.compare(flow, runs).verdict == "fail"


@pytest.mark.parametrize(
    "name",
    ["noisy", *(pytest.param(n, marks=pytest.mark.validate) for n in VARIANTS if n != "noisy")],
)
def test_the_chain_has_the_law_of_direct_sgd(name):
    """Kolmogorov-Smirnov on the loss and a student overlap, at a small dimension."""
    task = problem(name)
    save = op.SavePlan(times=(1.0, 3.0, 6.0))
    runs = [
        op.simulate(task, dimension=40, seeds=500, simulator=simulator, save=save, seed=3)
        for simulator in ("direct", "chain")
    ]
    for at in range(3):
        for pick in (lambda r: r["loss"], lambda r: r["Q"][..., 0, 0], lambda r: r["M"][..., 0, 0]):
            direct, chain = (pick(r).values[0, :, at] for r in runs)
            kept = [x[np.isfinite(x)] for x in (direct, chain)]
            if name == "spherical" and np.ptp(kept[0]) < 1e-4:
                continue  # a held norm has no spread
            assert stats.ks_2samp(*kept).pvalue > 1e-4
    shifted = runs[1]["loss"].values[0, :, 0], runs[1]["loss"].values[0, :, 1]
    assert stats.ks_2samp(*shifted).pvalue < 1e-4


@pytest.mark.validate
def test_deviation_falls_as_the_inverse_root_of_the_dimension():
    sizes = np.array([300, 1000, 3000, 10000, 30000])
    start = op.online.random_overlaps(3, 2, 10, seed=4)
    task = op.online.TeacherStudent(start, learning_rate=0.3, duration=20.0)
    theory = op.solve(task, save=SAVE)
    runs = op.simulate(task, dimension=sizes.tolist(), seeds=20, simulator="chain", save=SAVE)
    gap = (runs["Q"] - theory["Q"]).values
    deviation = np.sqrt(np.nanmean(gap**2, axis=(1, 2, 3, 4)))
    slope = np.polyfit(np.log(sizes), np.log(deviation), 1)[0]
    assert abs(slope + 0.5) < 0.07
