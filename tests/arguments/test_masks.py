"""A mask is never dropped: arrays that carry one are refused wherever arrays enter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import orderparam as op
from orderparam.errors import InvalidProblem

HIDDEN = -9999.0


def test_masked_arrays_are_refused_everywhere():
    """In a process without the type checks of these tests, which users do not have."""
    settings = {"PYTHONPATH": str(Path(op.__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("masks.py"))],
        capture_output=True, text=True, env={**os.environ, **settings}, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["tried"] > 300
    assert found["wrong"] == []


def test_the_message_says_what_to_do():
    rows = [np.ma.array([1.0, HIDDEN], mask=[False, True]), np.ma.array([1.0, 2.0])]
    with pytest.raises(InvalidProblem, match=r"`x` must be an array without a mask.*fill or drop"):
        op.data.from_arrays(rows, [1.0, -1.0])


def test_gaps_of_labelled_arrays_are_refused():
    array = xr.DataArray(np.ma.array([[1.0, HIDDEN], [0.0, 1.0]], mask=[[0, 1], [0, 0]]))
    with pytest.raises(InvalidProblem, match="finite"):
        op.data.from_arrays(array, [1.0, -1.0])
    pandas = pytest.importorskip("pandas")
    for table in (array.to_pandas(), pandas.DataFrame({"a": pandas.array([1, None], "Int64")})):
        with pytest.raises(InvalidProblem):
            op.data.from_arrays(table, [1.0, -1.0])
