"""Numbers with their errors."""

import pytest

from orderparam.results.screen import with_error


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (0.276894, 0.00042, "0.2769(4)"),
        (0.276894, 0.00096, "0.277(1)"),
        (-1.25, 0.3, "-1.2(3)"),
        (12345.0, 20.0, "1.234(2)e+04"),
        (1.5e-7, 2e-9, "1.50(2)e-07"),
        (0.0, 0.01, "0.00(1)"),
        (0.5, 7.0, "0(7)"),
        (0.123456789, None, "0.123457"),
        (0.5, 0.0, "0.5"),
        (float("nan"), 0.1, "nan"),
    ],
)
def test_digits_end_where_the_error_begins(value, se, text):
    assert with_error(value, se) == text
