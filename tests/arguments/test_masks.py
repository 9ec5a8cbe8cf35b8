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


def test_functions_of_results_take_no_mask():
    """The table of arguments knows functions and constructors; these are methods."""
    law = op.online.EscapeLaw(rate=0.1, constant=3.0, freedom=2, shift=0.0)
    masked = np.ma.array([0.5, HIDDEN], mask=[False, True])
    schedule = op.online.RateSchedule([1.0, 0.5])
    for call in (law.cdf, law.pdf, law.ppf, lambda t: schedule.integral(1.0, t)):
        with pytest.raises(InvalidProblem, match="without a mask"):
            call(masked)
    with pytest.raises(InvalidProblem, match="between 0 and 1"):
        law.ppf(np.array([0.5, 1.5]))
    assert law.cdf(law.ppf(0.3)) == pytest.approx(0.3)


def test_the_classifier_takes_no_mask():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)), np.arange(20) % 2
    hidden = np.ma.array(X)
    hidden[0, 0] = np.ma.masked
    model = op.mixtures.AsymptoticClassifier(strength=1.0, loss="squared")
    for wrong in ((hidden, y), (X, np.ma.array(y, mask=y > 0)), (X, y, np.ma.array(y + 1.0))):
        with pytest.raises(InvalidProblem, match="without a mask"):
            model.fit(*wrong)
    with pytest.raises(InvalidProblem, match="without a mask"):
        model.fit(X, y).predict(hidden)
