import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderparam.errors import InvalidProblem
from orderparam.studies.toml_text import dump, parse, parse_value

TEXT = '''\
# a comment
a = 1
[table.inner]
b = """
two lines"""
list = [
    1,
    2,
]
"dotted.key" = { x = 1 }
c.d = 5
'''


def test_every_key_has_its_line():
    values, lines = parse(TEXT, "x.toml")
    assert values == tomllib.loads(TEXT)
    table = ("table", "inner")
    assert lines[("a",)] == 2
    assert lines[table] == 3
    assert lines[(*table, "b")] == 4
    assert lines[(*table, "list")] == 6
    assert lines[(*table, "dotted", "key", "x")] == 10
    assert lines[(*table, "c", "d")] == 11


def test_broken_toml_names_the_line():
    with pytest.raises(InvalidProblem, match=r"x\.toml is not valid TOML.*line 2"):
        parse("a = 1\nb = \n", "x.toml")


SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.text(max_size=8)
)
TABLES = st.recursive(
    st.dictionaries(st.text(max_size=6), st.one_of(SCALARS, st.lists(SCALARS, max_size=3))),
    lambda inner: st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("levels", [65, 300, 10**5])
def test_deep_toml_is_refused(levels):
    value = "[" * levels + "]" * levels
    with pytest.raises(InvalidProblem, match="not valid TOML: more than 64 levels"):
        parse(f"a = {value}", "study.toml")
    with pytest.raises(InvalidProblem, match="not a TOML value"):
        parse_value(value, "a")


@given(TABLES)
def test_what_is_written_reads_back(values):
    assert tomllib.loads(dump(values)) == values


def test_none_is_left_out():
    assert tomllib.loads(dump({"a": None, "b": {"c": None}})) == {"b": {}}


def test_values_of_set():
    assert parse_value("[1, 2.5]", "p") == [1, 2.5]
    with pytest.raises(InvalidProblem, match=r"--set 'p=\"relu\"'"):
        parse_value("relu", "p")
