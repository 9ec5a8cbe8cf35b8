"""Problems travel to other processes; the settings of a caller change nothing."""

import copy
import pickle
import subprocess
import sys
import warnings
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import orderparam as op
from orderparam.contract import Problem
from orderparam.families import FAMILIES, family

X = np.array([[1.0, 0.5], [0.0, 1.0], [2.0, -1.0]])
DATA = op.data.Data(X, [-1.0, 1.0, 1.0])
MIXTURE = op.mixtures.isotropic(2)
START = op.online.Overlaps(np.eye(1), 0.5 * np.eye(1))
FEW = op.SavePlan(steps=3)


def double(h):
    return jnp.sinh(h) / 2


def squared(y, z):
    return (y - z) ** 2 / 2


def kernels(activation="tanh"):
    return op.kernels.KernelEvolution(op.kernels.MLP(1, activation), DATA, steps=3)


def mixture(loss="logistic"):
    return op.mixtures.MixtureERM(MIXTURE, loss, "l2", strength=0.1, alpha=2.0)


def online(activation="erf_scaled"):
    return op.online.TeacherStudent(START, activation, duration=1.0)


# Problem, method, arguments of `simulate` (None for what is trained with PyTorch).
SMALL = {
    "kernels": (kernels(), op.kernels.Causal(64, 2, 1e-2), {"width": [8]}),
    "kernels-static": (kernels("relu"), op.kernels.StaticNTK(), {"width": [8]}),
    "fluctuations": (
        op.fluctuations.FiniteWidth(kernels()),
        op.fluctuations.Influence(64, 2, shift=False),
        {"width": [8]},
    ),
    "mixtures": (mixture(), None, {"dimension": 20}),
    "mixtures-own": (mixture(op.mixtures.CustomLoss(squared)), None, {"dimension": 20}),
    "messages": (op.mixtures.MessagePassing(MIXTURE, steps=3), None, {"dimension": 20}),
    "online": (online(), None, {"dimension": 20}),
    "online-smooth": (online("tanh"), None, {"dimension": 20}),
    "experts": (op.experts.Ladder(), None, None),
    "experts-transfer": (op.experts.Transfer(), None, None),
    "experts-trap": (op.experts.Trap("tied-logits"), None, None),
}
NETWORKS = [
    "tanh",
    "erf",
    "relu",
    "relu_normalized",
    "softplus",
    "gelu",
    "linear",
    "scaled_tanh(2)",
]


def test_every_type_of_problem_is_here():
    known = {kind.problem for name in FAMILIES for kind in family(name).kinds}
    assert known == {type(problem) for problem, _, _ in SMALL.values()}


def solved(problem, method):
    return op.solve(problem, method, save=FEW, progress=False, throw=False)


def same(left, right):
    for name, array in left.dataset.variables.items():
        np.testing.assert_array_equal(array.values, right.dataset[name].values)
    assert left.verdict is right.verdict
    assert left.problem == right.problem


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("carry", [lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy])
def test_problems_and_methods_travel(name, carry):
    problem, method, _ = SMALL[name]
    there, its_method = carry(problem), carry(method)
    assert isinstance(there, Problem)
    assert there.config() == problem.config()
    assert method is None or its_method.config() == method.config()
    if name in ("kernels", "mixtures", "online"):
        same(solved(problem, method), solved(there, its_method))


@pytest.mark.parametrize("activation", [*NETWORKS, jnp.sin, double])
def test_activations_travel(activation):
    network = op.kernels.MLP(1, activation)
    for there in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert there == network
        assert hash(there.activation) == hash(network.activation)
        assert there.config() == network.config()


def test_another_process_understands_a_problem(tmp_path):
    (tmp_path / "problem").write_bytes(pickle.dumps([p for p, _, _ in SMALL.values()][:2]))
    code = (
        "import pickle, sys\n"
        "for problem in pickle.load(open(sys.argv[1], 'rb')):\n"
        "    print(problem.network.config()['activation'])"
    )
    assert printed(code, str(tmp_path / "problem")) == ["tanh", "relu"]


def printed(code, *arguments):
    path = str(Path(op.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@contextmanager
def jax_config(**settings):
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for name, value in settings.items():
            jax.config.update(name, value)
        yield
        assert {name: getattr(jax.config, name) for name in settings} == settings
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@contextmanager
def numpy_raises():
    with np.errstate(all="raise"):
        before = np.geterr()
        yield
        assert np.geterr() == before


@contextmanager
def warnings_raise():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


SETTINGS = {
    "rank promotion": lambda: jax_config(jax_numpy_rank_promotion="raise"),
    "dtype promotion": lambda: jax_config(jax_numpy_dtype_promotion="strict"),
    "nans": lambda: jax_config(jax_debug_nans=True, jax_debug_infs=True),
    "generator": lambda: jax_config(jax_default_prng_impl="rbg", jax_threefry_partitionable=False),
    "keys": lambda: jax_config(jax_enable_custom_prng=True, jax_legacy_prng_key="error"),
    "transfers": lambda: jax_config(jax_transfer_guard="disallow"),
    "single precision": lambda: jax_config(
        jax_default_matmul_precision="bfloat16", jax_enable_x64=False
    ),
    "numpy": numpy_raises,
    "warnings": warnings_raise,
}


def rebuilt(name):
    """The problem built anew, as a user does under the setting."""
    builders = {"kernels": kernels, "mixtures": mixture, "online": online}
    builders |= {"mixtures-own": lambda: mixture(op.mixtures.CustomLoss(squared))}
    builders |= {"online-smooth": lambda: online(double), "kernels-static": lambda: kernels(double)}
    return builders[name]() if name in builders else SMALL[name][0]


def results(name):
    """What every verb gives for one problem."""
    problem, (_, method, sizes) = rebuilt(name), SMALL[name]
    theory = solved(problem, method)
    cost = op.estimate(problem, method, save=FEW)
    if sizes is None:
        return theory, None, cost, None
    trained = op.simulate(problem, **sizes, seeds=3, save=FEW, progress=False)
    return theory, trained, cost, op.compare(theory, trained)


@cache
def usual(name):
    return results(name)


FAST = ("kernels", "mixtures", "online", "experts-trap")


def unchanged(name, settings):
    """Every verb gives under the settings of a caller what it gives without."""
    theory, trained, cost, comparison = usual(name)
    with ExitStack() as stack:
        for setting in settings:
            stack.enter_context(SETTINGS[setting]())
        its_theory, its_trained, its_cost, its_comparison = results(name)
        assert op.citation(its_theory) == op.citation(theory)
    same(theory, its_theory)
    assert its_cost == cost
    if trained is not None:
        same(trained, its_trained)
        assert repr(its_comparison.table) == repr(comparison.table)


@pytest.mark.parametrize("name", FAST)
def test_the_settings_of_a_caller_change_nothing(name):
    """All of them at once, since each compiles everything again; `validate` says which it is."""
    unchanged(name, SETTINGS)


@pytest.mark.validate
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", SMALL)
def test_each_setting_of_a_caller_changes_nothing(name, setting):
    unchanged(name, [setting])


@pytest.mark.parametrize(
    "imports",
    [
        "import orderparam as op; [getattr(op, name) for name in op.__all__]",
        "from orderparam.kernels import MLP",
        "from orderparam import data, solve",
        "from orderparam.support import later; import orderparam.kernels; "
        "[getattr(getattr(later, name), '__doc__', '') for name in later.__all__]",
    ],
)
def test_an_import_leaves_the_random_states_alone(imports):
    code = f"""
import random, numpy as np
def states():
    _, words, place, *_ = np.random.get_state()
    return random.getstate(), words.tolist(), place
random.seed(5), np.random.seed(5)
before = states()
{imports}
print(before == states())
"""
    assert printed(code) == ["True"]
