"""Old spellings are errors that name the new one; files that have them still load."""

import json

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import InvalidProblem
from orderparam.results import Solution


@pytest.mark.parametrize(
    ("family", "old", "new"),
    [
        ("kernels", "sweep", "batched"),
        ("mixtures", "Square", "Squared"),
        ("online", "Spectrum", "HessianSpectrum"),
    ],
)
def test_old_public_names_say_the_new_one(family, old, new):
    module = getattr(op, family)
    with pytest.raises(InvalidProblem, match=f"{family}.{new}"):
        getattr(module, old)
    assert new in module.__all__
    assert hasattr(module, new)
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


MIXTURE = op.mixtures.isotropic(2)
START = op.online.Overlaps(np.eye(1), 0.5 * np.eye(1))


@pytest.mark.parametrize(
    ("make", "old", "new"),
    [
        (lambda name: op.mixtures.MixtureERM(MIXTURE, name), "square", "squared"),
        (lambda name: op.mixtures.MixtureERM(MIXTURE, name), "square-one-hot", "squared-one-hot"),
        (lambda name: op.online.TeacherStudent(START, name), "erf", "erf_scaled"),
    ],
)
def test_old_values_say_the_new_one(make, old, new):
    with pytest.raises(InvalidProblem, match=f"is called '{new}' now"):
        make(old)
    make(new)


@pytest.mark.parametrize(
    ("version", "loss"), [("0.1.0", "squared"), ("0.2.0", "square"), ("unknown", "square")]
)
def test_files_of_before_are_read_with_the_new_names(tmp_path, version, loss):
    """What a release of before wrote: its version, its spelling."""
    solved = op.solve(op.mixtures.MixtureERM(MIXTURE, "squared", alpha=2.0), progress=False)
    before = {**solved.problem, "loss": "square"}
    path = Solution(
        solved.dataset.assign_attrs(problem=json.dumps(before), library_version=version)
    ).save(tmp_path / "old.nc")
    loaded = op.load(path)
    assert loaded.problem["loss"] == loss
    assert (loaded.problem == solved.problem) == (version == "0.1.0")
    np.testing.assert_array_equal(loaded["test_error"], solved["test_error"])


def test_the_face_of_the_library_has_every_family():
    from orderparam.families import FAMILIES

    assert set(FAMILIES) <= set(op.__all__)
    assert all(getattr(op, name).__all__ for name in FAMILIES)
