"""Every public constructor and function of the library, each with a call that works.

`Case` holds the callable, arguments that work, and how dear a call is. Names that have no case are
listed in `LEFT_OUT` with the reason.
"""

import functools
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

import orderparam as op


@dataclass(frozen=True)
class Case:
    """One callable.

    Args:
        name: Where it is, without the package.
        call: What is called.
        base: Arguments that work, by name.
        dear: Where a call that is accepted takes more than some milliseconds: `make test` tries
            one in so many values, `make validate` all.
        holds: Whether it only holds what the library computed, so that it need not refuse.
        said: What messages call an argument where that is not its own name.
        accepts: Tags of the pool that are right for an argument, where annotations do not say it.
    """

    name: str
    call: Callable[..., Any]
    base: Mapping[str, Any] = field(default_factory=dict)
    dear: int = 1
    holds: bool = False
    said: Mapping[str, str] = field(default_factory=dict)
    accepts: Mapping[str, str] = field(default_factory=dict)


LEFT_OUT = {
    "experts.ScalingWarning": "a category of warnings",
    "mixtures.digits_features": "has no arguments",
    "mixtures.L1": "has no arguments",
    "mixtures.L2": "has no arguments",
    "mixtures.Hinge": "has no arguments",
    "mixtures.Logistic": "has no arguments",
    "mixtures.Softmax": "has no arguments",
    "mixtures.Ridge": "has no arguments",
    "mixtures.TwoClusters": "has no arguments",
    "kernels.StaticNTK": "has no arguments",
    "experts.Counting": "has no arguments",
}


def cases() -> list[Case]:
    """All of them."""
    return [*_data(), *_kernels(), *_mixtures(), *_online(), *_experts()]


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


def _data() -> list[Case]:
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


def _kernels() -> list[Case]:
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


@functools.cache
def mixture() -> Any:
    """Two opposite clusters."""
    return op.mixtures.blocks((0.5,))


@functools.cache
def classifier() -> Any:
    """Ridge regression on them."""
    return op.mixtures.MixtureERM(mixture(), "squared", strength=0.5, alpha=2.0)


@functools.cache
def learned() -> Any:
    """A solved problem."""
    problem = op.mixtures.MixtureERM(mixture(), "logistic", strength=0.5, alpha=2.0)
    return op.solve(problem, progress=False)


def _mixtures() -> list[Case]:
    m = op.mixtures
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)) + 0.1, np.arange(60) % 2
    erm = {"mixture": mixture(), "strength": 0.5, "alpha": 2.0}
    many = dict.fromkeys(("strength", "alpha", "class_weights", "weights"), "real reals ints")
    many |= {"class_weights": "reals ints none", "penalty": "text table Penalty"}
    shift = {"training_weights": [0.5, 0.5], "test_weights": [0.3, 0.7]}
    table = {"X": "table", "y": "ints reals bools texts", "clusters": "ints reals bools texts none"}
    means = {"means": "table", "covariances": "real reals table"}
    shares = dict.fromkeys(("training_weights", "test_weights"), "reals ints")
    return [
        Case("mixtures.Squared", m.Squared),
        Case("mixtures.ElasticNet", m.ElasticNet),
        Case(
            "mixtures.CustomLoss",
            m.CustomLoss,
            {"fun": lambda y, z: jnp.logaddexp(0.0, -y * z)},
            dear=20,
        ),
        Case(
            "mixtures.CustomPenalty",
            m.CustomPenalty,
            {"value": lambda w: w**2 / 2, "prox": lambda B, A, strength: B / (A + strength)},
            dear=5,
        ),
        Case("mixtures.isotropic", m.isotropic, {"clusters": 3}),
        Case("mixtures.anisotropic", m.anisotropic, {"dimension": 4}),
        Case("mixtures.blocks", m.blocks, {"variances": (0.5, 1.0), "fractions": (0.25, 0.75)}),
        Case("mixtures.power_law", m.power_law, {"dimension": 5}),
        Case("mixtures.digits_parity", m.digits_parity),
        Case("mixtures.from_data", m.from_data, {"X": X, "y": y}, accepts=table),
        Case(
            "mixtures.gaussian_mixture",
            m.gaussian_mixture,
            {"means": np.eye(2, 3), "covariances": 0.5, "weights": [0.5, 0.5], "labels": [0, 1]},
            accepts={**means, "weights": "reals ints none", "labels": "ints none"},
        ),
        Case(
            "mixtures.GaussianMixture",
            m.GaussianMixture,
            {"spectrum": mixture().spectrum},
            accepts={"weights": "reals ints none", "labels": "ints none"},
        ),
        Case("mixtures.MixtureERM", m.MixtureERM, erm, accepts=many),
        Case("mixtures.MessagePassing", m.MessagePassing, erm, accepts=many),
        Case(
            "mixtures.CovariateShift",
            m.CovariateShift,
            {**erm, **shift},
            accepts={**many, **shares},
        ),
        Case("mixtures.SaddlePoint", m.SaddlePoint),
        Case("mixtures.SampledWeights", m.SampledWeights, {"draws": 64}),
        Case("mixtures.StateEvolution", m.StateEvolution),
        Case("mixtures.EngineEvolution", m.EngineEvolution),
        Case(
            "mixtures.LearningCurve",
            m.LearningCurve,
            {"theory": learned(), "real": {}, "surrogate": {}},
            holds=True,
        ),
        Case(
            "mixtures.AsymptoticClassifier",
            _fitted,
            _SETTINGS,
            dear=12,
            accepts={
                "loss": "text Loss",
                "penalty": "text table Penalty",
                "strength": "real",
                "fit_bias": "bool",
                "shrinkage": "real",
            },
        ),
        Case("mixtures.bayes_error", m.bayes_error, {"mixture": mixture(), "alpha": 2.0}),
        Case("mixtures.oracle_error", m.oracle_error, {"mixture": mixture()}),
        Case("mixtures.separability_threshold", m.separability_threshold, {"mixture": mixture()}),
        Case("mixtures.best_bias", m.best_bias, {"solution": learned()}),
        Case("mixtures.calibration", m.calibration, {"solution": learned()}),
        Case("mixtures.roc_curve", m.roc_curve, {"solution": learned()}),
        Case("mixtures.optimal_strength", m.optimal_strength, {"problem": classifier()}, dear=90),
        Case(
            "mixtures.required_alpha",
            m.required_alpha,
            {"problem": classifier(), "target_error": 0.1},
            dear=60,
        ),
        Case("mixtures.sensitivity", m.sensitivity, {"problem": classifier()}, dear=60),
        Case(
            "mixtures.learning_curve",
            m.learning_curve,
            {"X": X, "y": y, "loss": "squared", "alphas": (2.0,), "splits": 2},
            dear=90,
            accepts={**table, "penalty": "text table Penalty"},
        ),
    ]


_SETTINGS = {
    "loss": "squared",
    "penalty": "l2",
    "strength": 0.1,
    "fit_bias": True,
    "shrinkage": 0.0,
}


def _fitted(**settings: Any) -> Any:
    """The classifier checks its settings where scikit-learn wants it: when it is fitted.

    Samples and labels are checked by scikit-learn, with its own messages.
    """
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)) + 0.1, np.arange(60) % 2
    return op.mixtures.AsymptoticClassifier(**settings).fit(X, y)


@functools.cache
def lesson() -> Any:
    """A small problem of online learning."""
    start = op.online.random_overlaps(2, 1, 100, student="orthogonal")
    return op.online.TeacherStudent(start, duration=1.0)


def _online() -> list[Case]:
    o = op.online
    Q, M, T = np.eye(2), np.full((2, 1), 0.1), np.eye(1)
    W = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]])
    spectrum = o.InputSpectrum([1.0, 2.0], [0.5, 0.5])
    squares = dict.fromkeys(("Q", "M", "T"), "table none")
    numbers = {
        "normalisation": "text real",
        "centering": "text real",
        "schedule": "reals ints none function RateSchedule",
        "second_layer": "reals ints none",
        "teacher_second_layer": "reals ints none",
    }
    path = {"times": np.linspace(0, 1, 3), "Q": np.stack([Q] * 3), "M": np.stack([M] * 3), "T": T}
    frames = {"student_weights": "table", "teacher_weights": "table"}
    return [
        Case(
            "online.Overlaps", o.Overlaps, {"Q": Q, "M": M, "T": T, "dimension": 9}, accepts=squares
        ),
        Case(
            "online.BinnedOverlaps",
            o.BinnedOverlaps,
            {"Q": Q[None], "M": M[None], "T": T[None]},
            accepts=squares,
        ),
        Case(
            "online.InputSpectrum",
            o.InputSpectrum,
            {"variances": [1.0, 2.0], "fractions": [0.5, 0.5]},
            accepts={"variances": "reals ints", "fractions": "reals ints none"},
        ),
        Case(
            "online.RateSchedule",
            o.RateSchedule,
            {"values": [1.0, 0.5]},
            accepts={"values": "reals ints"},
        ),
        Case("online.TeacherStudent", o.TeacherStudent, {"start": lesson().start}, accepts=numbers),
        Case("online.OverlapODE", o.OverlapODE),
        Case("online.ModalODE", o.ModalODE),
        Case(
            "online.overlaps_of",
            o.overlaps_of,
            {"student_weights": W, "teacher_weights": W[:1]},
            accepts=frames,
        ),
        Case(
            "online.binned_overlaps_of",
            o.binned_overlaps_of,
            {"student_weights": W, "teacher_weights": W[:1], "spectrum": spectrum},
            accepts=frames,
        ),
        Case(
            "online.spread_overlaps",
            o.spread_overlaps,
            {"overlaps": lesson().start, "spectrum": spectrum},
        ),
        Case(
            "online.random_overlaps",
            o.random_overlaps,
            {"students": 2, "teachers": 1, "dimension": 9, "draws": 2},
        ),
        Case(
            "online.random_binned_overlaps",
            o.random_binned_overlaps,
            {"students": 2, "teachers": 1, "dimension": 20, "spectrum": spectrum},
        ),
        Case("online.power_law_inputs", o.power_law_inputs, {"exponent": 1.0}),
        Case(
            "online.learning_rate_from",
            o.learning_rate_from,
            {"framework_rate": 0.1, "dimension": 3},
        ),
        Case("online.manifold_dimension", o.manifold_dimension, {"students": 3, "teachers": 2}),
        Case("online.polar_factor", o.polar_factor, {"M": M}, accepts=squares),
        Case(
            "online.gram_schmidt_factor", o.gram_schmidt_factor, {"M": M, "T": T}, accepts=squares
        ),
        Case("online.isotropic", o.isotropic, {"problem": lesson()}),
        Case(
            "online.closed_spectrum",
            o.closed_spectrum,
            {"problem": lesson(), "point": "origin", "dimension": 50},
        ),
        Case("online.hessian_spectrum", o.hessian_spectrum, {"problem": lesson(), "dimension": 50}),
        Case(
            "online.escape_law",
            o.escape_law,
            {"problem": lesson(), "dimension": 50, "constant": "linear"},
        ),
        Case("online.selected_solution", o.selected_solution, {"problem": lesson()}),
        Case(
            "online.conserved_matrix",
            o.conserved_matrix,
            {"problem": lesson(), **path},
            accepts={**squares, "times": "reals ints"},
        ),
        Case(
            "online.critical_learning_rate",
            o.critical_learning_rate,
            {"problem": lesson()},
            dear=60,
        ),
        Case(
            "online.EscapeLaw",
            o.EscapeLaw,
            {"rate": 1.0, "constant": 1.0, "freedom": 2, "shift": 0.0},
            holds=True,
        ),
        Case(
            "online.HessianSpectrum",
            o.HessianSpectrum,
            {"values": Y, "multiplicity": np.ones(3, int), "squared_gradient": 0.0},
            holds=True,
        ),
        Case(
            "online.Isotropic",
            o.Isotropic,
            {
                "p": 2,
                "q": 1,
                "a": 1.0,
                "b": 1.0,
                "theta": 1.0,
                "eta": 0.1,
                "noise": 0.0,
                "label_noise": 0.0,
                "offset": 0.0,
            },
            holds=True,
        ),
        Case(
            "online.Selected",
            o.Selected,
            {"O": M, "overlaps": lesson().start, "squared_distance": Y[0], "exact": True},
            holds=True,
        ),
    ]


def _experts() -> list[Case]:
    e = op.experts
    base, target = e.Shape(64, experts=4, expert_width=16), e.Shape(128, experts=8, expert_width=16)
    wide = {"base": e.Shape(64), "target": e.Shape(128)}
    plan = e.role_table(base, target)
    shapes = {"head.weight": (10, 128)}
    rules = e.RoleRules([("head.weight", "head")])
    optional = dict.fromkeys(("base_shapes", "base_model"), "none shapes")
    recipe = {name: f.default for name, f in e.Recipe.__dataclass_fields__.items()}
    whole = {name: getattr(plan, name) for name in type(plan).__dataclass_fields__}
    return [
        Case(
            "experts.Shape",
            e.Shape,
            {
                "width": 64,
                "experts": 4,
                "active": 2,
                "expert_width": 8,
                "ffn_width": 8,
                "head_dim": 4,
                "attention_width": 8,
                "kv_width": 8,
                "widths": {"rank": 4},
            },
            accepts={"widths": "dict"},
        ),
        Case(
            "experts.Recipe",
            e.Recipe,
            {"depth_exponent": 0.5, "aggregation_exponent": 1, "capacity_factor": 1.5},
        ),
        Case("experts.Role", e.Role, {"name": "attn_q", "axes": "o i"}),
        Case("experts.RoleRules", e.RoleRules, {"rules": [("*", "head")]}, accepts={"rules": ""}),
        Case("experts.role_table", e.role_table, {"base": base, "target": target, **recipe}),
        Case("experts.infer_regime", e.infer_regime, {"base": base, "target": target}),
        Case(
            "experts.plan_from_shapes",
            e.plan_from_shapes,
            {
                "shapes": shapes,
                "rules": rules,
                **wide,
                "base_shapes": {"head.weight": (10, 64)},
                "default_layout": {},
            },
            accepts={"shapes": "shapes", "kind": "", **optional, "default_layout": "none"},
        ),
        Case(
            "experts.torch_plan",
            e.torch_plan,
            {"model": None, "rules": rules, **wide},
            accepts={"model": "none", **optional},
        ),
        Case("experts.Ladder", e.Ladder),
        Case("experts.Transfer", e.Transfer),
        Case("experts.Trap", e.Trap, {"trap": "tied-logits"}),
        Case("experts.coordinate_check", e.coordinate_check, {"builder": lambda *a: None}),
        Case(
            "experts.learning_rate_transfer", e.learning_rate_transfer, {"builder": lambda *a: None}
        ),
        Case("experts.ForwardMultipliers", e.ForwardMultipliers, holds=True),
        Case(
            "experts.Growth",
            e.Growth,
            {"regime": "I", "deviation": 0.0, "experts": 1.0, "expert_width": 1.0},
            holds=True,
        ),
        Case(
            "experts.Entry",
            e.Entry,
            {n: getattr(plan.entries[0], n) for n in e.Entry.__dataclass_fields__},
            holds=True,
        ),
        Case("experts.ScalingPlan", e.ScalingPlan, whole, holds=True),
        Case("experts.TorchPlan", e.TorchPlan, whole, holds=True),
        Case(
            "experts.Setup",
            e.Setup,
            dict.fromkeys(("model", "plan", "optimizer", "batch", "loss", "probe")),
            holds=True,
        ),
        Case(
            "experts.CoordinateCheck",
            e.CoordinateCheck,
            {"solution": None, "exponents": (), "plan": plan},
            holds=True,
        ),
        Case(
            "experts.LearningRateTransfer",
            e.LearningRateTransfer,
            {
                "sizes": (1,),
                "factors": (1.0,),
                "loss": np.ones((1, 1, 1)),
                "optima": (),
                "shift": 0.0,
                "shift_se": 0.0,
                "stays": True,
                "improves": True,
                "improves_fixed": True,
                "settings": {},
            },
            holds=True,
        ),
    ]
