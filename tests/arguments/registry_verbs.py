"""The verbs on tiny problems, save plans, and the door for families of others."""

import functools
import pathlib
import tempfile
from typing import Any

from case import Case
from registry_fluctuations import quick, scatter
from registry_kernels import descent
from registry_mixtures import classifier, learned
from registry_online import lesson

import orderparam as op
from orderparam import families
from orderparam.contract import Family, Kind, Method, Problem


def verb_cases() -> list[Case]:
    """All of them."""
    plan = op.SavePlan(steps=2)
    solvers = {
        "kernels": (descent(), op.kernels.StaticNTK(), plan),
        "mixtures": (classifier(), op.mixtures.Ridge(), op.SavePlan()),
        "online": (lesson(), op.online.OverlapODE(), plan),
        "experts": (op.experts.Trap("tied-logits"), op.experts.Counting(), op.SavePlan()),
        "fluctuations": (scatter(), quick(), plan),
    }
    found = [
        Case(
            "SavePlan",
            op.SavePlan,
            {"steps": 3},
            accepts={"steps": "int ints none", "fields_at": "ints", "times": "reals ints none"},
        ),
    ]
    for name, (problem, method, save) in solvers.items():
        asked = {"problem": problem, "method": method, "save": save}
        more = {"seed": 0, "progress": False, "throw": False}
        dear = 60 if name in ("online", "fluctuations") else 40
        found.append(Case(f"solve {name}", op.solve, {**asked, **more}, dear=dear))
        found.append(Case(f"estimate {name}", op.estimate, asked))
    sizes = {
        "kernels": (descent(), {"width": 8, "parameterization": "mean_field"}, plan),
        "mixtures": (classifier(), {"dimension": 20}, op.SavePlan()),
        "online": (lesson(), {"dimension": 20}, plan),
        "experts": (op.experts.Trap("tied-logits"), {"size": 1}, op.SavePlan()),
        "fluctuations": (scatter(), {"width": 8, "limit": None}, plan),
    }
    for name, (problem, size, save) in sizes.items():
        asked = {"problem": problem, "seeds": 2, "save": save, "seed": 0, "progress": False}
        accepts = dict.fromkeys(("width", "dimension", "size"), "int ints")
        accepts |= {"parameterization": "text", "limit": "none"}
        found.append(
            Case(
                f"simulate {name}",
                op.simulate,
                {**asked, "precision": "float32", **size},
                dear=60 if name in ("online", "fluctuations") else 40,
                accepts=accepts,
            )
        )
    runs = _runs()
    found += [
        Case(
            "compare",
            op.compare,
            {"theory": runs[0], "experiment": runs[1]},
            accepts={"variables": "texts none"},
        ),
        Case("citation", op.citation, {"result": learned()}),
        Case("keep_compiled", op.keep_compiled, {"path": "programs"}),
        Case("load", op.load, {"path": _saved()}),
        Case(
            "check_theory",
            op.check_theory,
            {"problem": descent(), "method": op.kernels.StaticNTK(), "save": plan, "seeds": 2},
            dear=40,
        ),
        Case("families.register", _registered, {"family": _family("registered")}),
        Case(
            "contract.Family",
            Family,
            vars(_family("another")),
            accepts=dict.fromkeys(
                ("kinds", "figures", "symbols", "claims", "citations", "renamed"), "any"
            ),
        ),
        Case(
            "contract.Kind",
            Kind,
            {**vars(_kind()), "options": ("one",)},
            accepts={"problem": "any", "options": "any"},
        ),
    ]
    return found


@functools.cache
def _runs() -> Any:
    problem = descent()
    plan = op.SavePlan(steps=2)
    theory = op.solve(problem, op.kernels.StaticNTK(), save=plan, progress=False)
    return theory, op.simulate(problem, width=[8, 16], seeds=2, save=plan, progress=False)


@functools.cache
def _saved() -> pathlib.Path:
    return learned().save(pathlib.Path(tempfile.mkdtemp()) / "learned.nc")


def _kind() -> Kind:
    return Kind(Problem, lambda problem: Method, lambda *given: None, "width", "toys")


def _family(name: str) -> Family:
    return Family(name, "toys", (_kind(),))


def _registered(family: Any) -> Any:
    """Register and forget."""
    try:
        return families.register(family)
    finally:
        families._registered.clear()
