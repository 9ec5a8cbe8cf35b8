"""What users find on the faces of the library, called as they call it.

Runs in a process of its own: other tests check types at run time, which see arguments first.
"""

import importlib
import inspect
import pickle
import warnings

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import UnknownArgument
from orderparam.support.keywords import KnownKeywords

FACES = ("orderparam", *(f"orderparam.{name}" for name in (
    "data", "kernels", "mixtures", "online", "experts", "fluctuations")))  # fmt: skip
RESULTS = ("LearningCurve", "EscapeLaw", "HessianSpectrum", "Isotropic", "Selected", "Entry",
           "CoordinateCheck", "ForwardMultipliers", "LearningRateTransfer", "Recipe",
           "ScalingPlan", "ScalingWarning", "Split", "TorchPlan")  # fmt: skip
"""Classes that functions build; nobody writes their keywords."""


def public(kind):
    """Everything of a kind, by name."""
    faces = [importlib.import_module(name) for name in FACES]
    found = {f"{face.__name__}.{n}": getattr(face, n) for face in faces for n in face.__all__}
    return {name: value for name, value in found.items() if kind(value)}


def refused(call, name):
    """What is said of a keyword that there is not."""
    with pytest.raises(UnknownArgument, match=rf"no argument `{name}`\. ") as caught:
        call(**{name: 1})
    return str(caught.value)


def functions():
    """Each names the nearest of its arguments, keeps its signature and is pickled by its name."""
    found = public(inspect.isfunction)
    assert len(found) > 50
    for name, function in found.items():
        parameters = inspect.signature(function).parameters
        first = next(iter(parameters), "")
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            advice = f"Did you mean {first!r}?" if first else "It takes none."
            assert advice in refused(function, f"{first}_"), name
        assert pickle.loads(pickle.dumps(function)) is function
        assert function.__module__ != "orderparam.support.keywords"


def classes():
    """Each that users build looks at its keywords."""
    for name, cls in public(inspect.isclass).items():
        if name.rpartition(".")[2] not in RESULTS:
            assert issubclass(cls, KnownKeywords), name
            refused(cls, "not_there")


def notices():
    """Warnings point here, not into the library."""
    base, target = (
        op.experts.Shape(width=256, experts=8, active=active, expert_width=64) for active in (4, 1)
    )
    calls = (
        lambda: op.mixtures.gaussian_mixture([[9e9, 0.0], [0.0, 9e9]], 1.0),
        lambda: op.mixtures.from_data(np.random.default_rng(0).normal(size=(6, 4)), [0, 1] * 3),
        lambda: op.experts.role_table(base, target, parameterization="mup"),
    )
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            call()
        assert {w.filename for w in caught} == {__file__}, caught


if __name__ == "__main__":
    functions()
    classes()
    notices()
