"""A misspelt keyword is answered by the nearest right one, wherever users build something."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem, UnknownArgument

EYE = np.eye(2)
DATA = op.data.Data(EYE, [1.0, -1.0])
WRONG = {
    "gama0": (lambda **k: op.kernels.KernelEvolution(op.kernels.MLP(1), DATA, **k), "gamma0"),
    "weigth_std": (lambda **k: op.kernels.MLP(1, **k), "weight_std"),
    "sample": (op.kernels.Causal, "samples"),
    "strenght": (lambda **k: op.mixtures.MixtureERM(op.mixtures.isotropic(2), **k), "strength"),
    "learning_rat": (lambda **k: op.online.TeacherStudent(op.online.Overlaps(EYE, EYE), **k),
                     "learning_rate"),
    "dimensions": (lambda **k: op.online.Overlaps(EYE, EYE, **k), "dimension"),
    "field_at": (op.SavePlan, "fields_at"),
    "experts_": (op.experts.Shape, "experts"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_nearest_argument_is_named(name):
    build, right = WRONG[name]
    with pytest.raises(UnknownArgument, match=f"no argument `{name}`. Did you mean '{right}'"):
        build(**{name: 1})
    assert issubclass(UnknownArgument, InvalidProblem)
    assert issubclass(UnknownArgument, TypeError)


def test_what_is_built_still_travels():
    plan = op.SavePlan(steps=3)
    assert pickle.loads(pickle.dumps(plan)) == plan == copy.deepcopy(plan)


def test_what_the_verbs_say():
    task = op.kernels.KernelEvolution(op.kernels.MLP(1), DATA)
    with pytest.raises(UnknownArgument, match=r"gaussian\(\) has no argument `coutn`. Did you "):
        op.data.gaussian(coutn=3, dimension=2)
    with pytest.raises(UnknownArgument, match=r"solve\(\) has no argument `sede`. .* 'seed'"):
        op.solve(task, sede=1)
    for wrong, right in (("widht", "width"), ("sede", "seed"), ("parametrisation", "param")):
        with pytest.raises(UnknownArgument, match=f"networks.* `width`.* '{right}"):
            op.simulate(task, seeds=1, **{wrong: 8})


def test_every_public_name_looks_at_its_keywords():
    page = Path(__file__).parent / "faces.py"
    done = subprocess.run([sys.executable, str(page)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
