"""Studies of scaling are listed without PyTorch, and claims fail on wrong results."""

import numpy as np
import pytest
from typer.testing import CliRunner

import orderparam as op
from orderparam.cli import app as cli
from orderparam.errors import MissingExtra
from orderparam.experts.evidence.claims import CLAIMS
from orderparam.experts.evidence.figures import FIGURES
from orderparam.experts.evidence.measures import rebuilt, sweep
from orderparam.experts.methods.counting import entry_coordinates
from orderparam.results import Pair, Verdict, build_solution
from orderparam.results.build import Coordinate, Variable
from orderparam.studies import catalog

STUDIES = ("exponents", "sharing", "transfer", "transfer-adam", "traps")
SCALES = np.array([1.0, 2.0, 4.0, 8.0])
STEPS = (0, 1, 20)


@pytest.fixture
def no_torch(monkeypatch):
    """As if PyTorch were not installed."""

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("orderparam.support.extras.import_module", missing)


def test_all_studies_are_listed(no_torch):
    shown = CliRunner().invoke(cli.app, ["list", "--json"])
    for name in STUDIES:
        assert f"experts-{name}" in shown.stdout
    assert {s.name for s in catalog.builtin()} >= {f"experts-{name}" for name in STUDIES}


@pytest.mark.parametrize("name", STUDIES)
def test_without_pytorch_a_study_ends_at_once(name, no_torch, tmp_path):
    store = tmp_path / "runs"
    result = CliRunner().invoke(cli.app, ["run", f"experts-{name}", "--out", str(store)])
    assert result.exit_code == 1
    assert "pip install 'orderparam[torch]'" in result.stderr
    assert not store.exists()


@pytest.mark.parametrize(
    "problem", [op.experts.Ladder(), op.experts.Transfer(), op.experts.Trap("tied-logits")]
)
def test_without_pytorch_theory_works_and_training_names_the_extra(problem, no_torch):
    assert op.solve(problem).verdict is Verdict.CONVERGED
    with pytest.raises(MissingExtra, match=r"orderparam\[torch\]"):
        op.simulate(problem, size=[1, 2], seeds=1)


def made_up(problem, variables, coords):
    """A result of training that was never trained."""
    return build_solution(
        variables, coords, family="experts", kind="experiment", problem=problem.config(),
        method={"name": "made up"}, seed=0, verdict=Verdict.CONVERGED, message="made up",
        diagnostics={}, precision="float32", device="cpu", wall_time=0.0, compile_time=None,
        sources=["vankadara2026"],
    )  # fmt: skip


def ladder_pair(wrong=None, noise=0.02, **choices):
    """A ladder that follows counting, apart from observables whose exponent is given."""
    problem = op.experts.Ladder(**choices)
    theory = op.solve(problem, save=op.SavePlan(steps=STEPS))
    entries = [
        (str(n), int(t))
        for n, t in zip(theory["observable"].values, theory["updates"].values, strict=True)
    ]
    powers = dict(zip(entries, theory["exponent"].values.tolist(), strict=True))
    powers |= {("act/psi_spread", step): -0.5 for step in STEPS}
    powers |= {("agg/eff", step): 0.0 for step in STEPS}
    powers |= {(name, step): value for name, value in (wrong or {}).items() for step in STEPS}
    names = sorted({name for name, _ in powers} | {"act/psi"})
    rng = np.random.default_rng(0)
    value = np.zeros((len(names), len(STEPS), 4, 3))
    for (name, step), power in powers.items():
        runs = SCALES[:, None] ** power * 2 ** (noise * rng.standard_normal((4, 3)))
        value[names.index(name), STEPS.index(step)] = runs
    exponents = theory["exponent"].values[None, None] + noise * rng.standard_normal(
        (1, 3, len(entries))
    )
    coords = entry_coordinates(entries) | {
        "measured": Coordinate(("measured",), np.array(names), "observable"),
        "time": Coordinate(("time",), np.array(STEPS), "updates"),
        "scale": Coordinate(("scale",), SCALES.astype(int), "scale"),
        "size": Coordinate(("size",), np.array([8]), "size"),
        "seed": Coordinate(("seed",), np.arange(3), "run"),
    }
    variables = {
        "exponent": Variable(("size", "seed", "prediction"), exponents, "exponent", "c"),
        "value": Variable(("measured", "time", "scale", "seed"), value, "value", "r"),
    }
    return Pair(theory, made_up(problem, variables, coords))


def verdicts(claim, *pairs):
    return {finding.verdict for finding in CLAIMS[claim](pairs)}


RIGHT = [
    {"regime": regime, "parameterization": name}
    for regime in ("I", "II", "III")
    for name in ("mup", "mssp")
]


def test_claims_on_ladders_pass_where_counting_holds():
    pairs = [ladder_pair(**choices) for choices in RIGHT]
    for name in ("base-terms", "learned-term", "router-start", "gradients", "expert-outputs"):
        assert verdicts(name, *pairs) == {"pass"}, name
    shared = [ladder_pair(regime="III", sharing=s) for s in ("none", "full", "groups")]
    assert verdicts("initial-terms", *shared) == {"pass"}
    stable = CLAIMS["scale-stable"](pairs)
    assert [finding.verdict for finding in stable] == ["pass"] * 5  # none for muP in regime I


@pytest.mark.parametrize(
    ("claim", "choices", "wrong"),
    [
        ("base-terms", {"parameterization": "mup"}, {"agg/base": 0.0}),
        ("base-terms", {}, {"back/base": -0.5}),
        ("learned-term", {}, {"agg/eff": -0.5}),
        ("router-start", {"regime": "I", "parameterization": "mup"}, {"act/psi": 0.0}),
        ("router-start", {"regime": "I"}, {"act/psi": -0.5}),
        ("router-start", {"regime": "I"}, {"act/psi_spread": 0.0}),
        ("gradients", {}, {"grad/expert_out": -1.5}),
        ("expert-outputs", {}, {"act/o": 0.0}),
        ("expert-outputs", {"parameterization": "mup"}, {"act/output": -0.5}),
        ("scale-stable", {}, {"agg/prop": -0.5}),
        ("scale-stable", {"parameterization": "mup"}, {"agg/base": 0.0}),
        ("initial-terms", {"regime": "III", "sharing": "groups"}, {"back/signal": 0.3}),
        ("initial-terms", {"regime": "III", "sharing": "none"}, {"back/signal": 0.0}),
    ],
)
def test_claims_on_ladders_see_what_is_wrong(claim, choices, wrong):
    assert "fail" in verdicts(claim, ladder_pair(wrong, **choices))


def test_runs_that_differ_too_much_leave_a_claim_open():
    assert verdicts("base-terms", ladder_pair(noise=1.5)) == {"undecided"}


def sweep_pair(loss_of, parameterization="mssp", optimizer="sgd"):
    """A sweep whose losses are a function of size index and log2 factor."""
    problem = op.experts.Transfer(parameterization=parameterization, optimizer=optimizer)
    x = np.log2(problem.factors)
    loss = np.stack([np.stack([loss_of(i, x) + 0.001 * run for run in range(3)], 1)
                     for i in range(4)])  # fmt: skip
    dims = ("scale", "factor", "seed")
    variables = {
        "optimum_ratio": Variable(("size", "seed"), np.ones((1, 3)), "ratio", "r"),
        "loss": Variable(dims, np.where(loss > 5, np.nan, loss), "loss", "L"),
        "diverged": Variable(dims, loss > 5, "diverged"),
    }
    coords = {
        "factor": Coordinate(("factor",), np.array(problem.factors), "factor"),
        "scale": Coordinate(("scale",), SCALES.astype(int), "scale"),
        "size": Coordinate(("size",), np.array([8]), "size"),
        "seed": Coordinate(("seed",), np.arange(3), "run"),
    }
    return Pair(op.solve(problem), made_up(problem, variables, coords))


def test_claims_on_sweeps():
    better = sweep_pair(lambda i, x: 1 + (x - 0.2) ** 2 - 0.1 * i)
    worse = sweep_pair(lambda i, x: 1 + (x - 0.2) ** 2 + 0.1 * i)
    moving = sweep_pair(lambda i, x: 1 + (x - 0.2 - 0.4 * i) ** 2 - 0.1 * i)
    assert verdicts("rate-transfers", better) == verdicts("size-helps", better) == {"pass"}
    assert verdicts("size-helps", worse) == {"fail"}
    assert verdicts("rate-transfers", moving) == {"fail"}

    def other(loss_of):
        return sweep_pair(loss_of, parameterization="mup")

    assert verdicts("rate-transfers", other(lambda i, x: 1 + (x - 0.2) ** 2 + 0.1 * i)) == {"pass"}
    assert verdicts("size-helps", other(lambda i, x: 1 + (x - 0.2) ** 2 + 0.1 * i)) == {"pass"}
    same = other(lambda i, x: 1 + (x - 0.2) ** 2 - 0.1 * i)
    assert verdicts("rate-transfers", same) == verdicts("size-helps", same) == {"fail"}
    adam = sweep_pair(lambda i, x: 1 + x**2, parameterization="mup", optimizer="adamw")
    assert not CLAIMS["rate-transfers"]([adam])  # nothing is claimed of it


def test_diverged_runs_are_read_back():
    pair = sweep_pair(lambda i, x: np.where(x > 1, 9.0, 1 + x**2 - 0.1 * i))
    assert np.isinf(sweep(pair).loss[:, -1]).all()
    assert isinstance(rebuilt(pair.theory), op.experts.Transfer)


def trap_pair(outcome, **choices):
    problem = op.experts.Trap(**choices)
    runs = np.array([outcome])
    coords = {
        "size": Coordinate(("size",), np.array([8]), "size"),
        "seed": Coordinate(("seed",), np.arange(runs.shape[1]), "run"),
    }
    variables = {"outcome": Variable(("size", "seed"), runs, "outcome", "o")}
    return Pair(op.solve(problem), made_up(problem, variables, coords))


def test_claims_on_traps():
    for trap, off in (("identical-experts", 0.01), ("balancing-loss", 0.5)):
        for avoided in (False, True):
            right = op.experts.Trap(trap, avoided).expected()
            pair = trap_pair([right, right], trap=trap, avoided=avoided)
            assert verdicts("trap-outcomes", pair) == {"pass"}
            pair = trap_pair([right + off, right + off], trap=trap, avoided=avoided)
            assert verdicts("trap-outcomes", pair) == {"fail"}


def test_figures_draw():
    ladders = [ladder_pair(**choices) for choices in RIGHT]
    drawn = {
        "exponents": ladders,
        "base-terms": ladders,
        "sharing": [ladder_pair(regime="III", sharing=s) for s in ("none", "full")],
        "sweeps": [sweep_pair(lambda i, x: 1 + x**2)],
        "traps": [trap_pair([0.0, 0.0], trap="identical-experts")],
    }
    assert set(drawn) == set(FIGURES)
    for name, pairs in drawn.items():
        figure = FIGURES[name].draw(pairs)
        assert figure.axes
        assert all(panel.lines or panel.collections for panel in figure.axes), name
