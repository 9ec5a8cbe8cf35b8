"""What is said of a mask; that no argument drops one, the table of arguments tries."""

import numpy as np
import pytest
import xarray as xr

import orderparam as op
from orderparam.errors import InvalidProblem

HIDDEN = -9999.0


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
