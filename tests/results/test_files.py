"""Files are whole or refused."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orderparam.errors import CorruptFile, UnwritableFile
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution, load, netcdf
from orderparam.results.netcdf import write_dataset

_DTYPES = ["float64", "float32", "int64", "int8", "uint16", "bool"]
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


def make(variables, coords, **changes) -> Solution:
    settings = {
        "family": "kernels",
        "kind": "theory",
        "problem": {"gamma0": 1.0},
        "method": {"name": "causal"},
        "seed": 0,
        "verdict": Verdict.CONVERGED,
        "message": "",
        "diagnostics": {},
        "precision": "float64",
        "device": "cpu",
        "wall_time": 0.1,
        "compile_time": 2.5,
        "sources": ["bordelon2022"],
    }
    return build_solution(variables, coords, **(settings | changes))


def small(value: float = 1.0) -> Solution:
    loss = Variable(("time",), np.full(5, value), "loss", "L", se=np.full(5, 0.1))
    return make({"loss": loss}, {"time": Coordinate(("time",), np.arange(5), "step", "seconds")})


@st.composite
def contents(draw) -> tuple:
    sizes = {name: draw(st.integers(0, 4)) for name in ("time", "sample", "layer")}
    variables, coords = {}, {}
    for i in range(draw(st.integers(0, 3))):
        dims = tuple(draw(st.permutations(list(sizes)))[: draw(st.integers(0, 3))])
        shape = tuple(sizes[d] for d in dims)
        values = draw(hnp.arrays(draw(st.sampled_from(_DTYPES)), shape))
        se = np.ones(shape) if draw(st.booleans()) else None
        variables[f"v{i}"] = (dims, values, draw(_TEXT), draw(_TEXT), draw(_TEXT), se)
    names = draw(st.lists(_TEXT, min_size=sizes["sample"], max_size=sizes["sample"]))
    coords["time"] = (("time",), np.arange(sizes["time"]), "step", "seconds since")
    coords["split"] = (("sample",), np.array(names, dtype=object), draw(_TEXT))
    described = draw(st.dictionaries(_TEXT, _JSON, max_size=3))
    return variables, coords, described, draw(_TEXT)


@given(content=contents())
def test_round_trip_keeps_everything(content, tmp_path_factory):
    variables, coords, described, message = content
    solution = make(
        {name: Variable(*fields) for name, fields in variables.items()},
        {name: Coordinate(*fields) for name, fields in coords.items()},
        problem=described,
        diagnostics=described,
        message=message,
    )
    path = solution.save(tmp_path_factory.getbasetemp() / "round.nc")
    loaded = load(path).dataset
    expected = solution.dataset
    xr.testing.assert_identical(loaded, expected)
    assert set(loaded.coords) == set(expected.coords)
    for name, variable in expected.variables.items():
        assert loaded[name].dtype == variable.dtype
        assert loaded[name].values.tobytes() == variable.values.tobytes()
    for name, value in expected.attrs.items():
        assert type(loaded.attrs[name]) is type(value)


def test_long_descriptions_and_saving_twice(tmp_path):
    solution = make({}, {}, diagnostics={"ranks": list(range(200_000))})
    again = load(load(solution.save(tmp_path / "a.nc")).save(tmp_path / "b.nc"))
    assert again.diagnostics == {"ranks": list(range(200_000))}
    xr.testing.assert_identical(again.dataset, solution.dataset)


def test_other_programs_can_read_the_file(tmp_path):
    path = small().save(tmp_path / "new" / "folder" / "a.nc")
    with xr.open_dataset(path, engine="h5netcdf", decode_timedelta=False) as dataset:
        assert dataset["loss"].values.tolist() == [1.0] * 5
        assert dataset.attrs["schema_version"] == 1


def test_every_altered_byte_is_found(tmp_path):
    path = small().save(tmp_path / "a.nc")
    content = path.read_bytes()
    positions = np.random.default_rng(0).choice(len(content), 30, replace=False).tolist()
    for position in [0, len(content) - 1, len(content) - 70, len(content) - 90, *positions]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(CorruptFile, match=r"a\.nc"):
            load(path)
    path.write_bytes(content)
    assert load(path).seed == 0


def test_every_truncation_is_found(tmp_path):
    path = small().save(tmp_path / "a.nc")
    content = path.read_bytes()
    for size in [0, 1, 60, len(content) // 2, len(content) - 84, len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(CorruptFile, match=r"a\.nc"):
            load(path)
    path.write_bytes(content + b"\n")
    with pytest.raises(CorruptFile, match=r"a\.nc"):
        load(path)


def test_other_schemas_and_foreign_files_are_refused(tmp_path):
    dataset = small().dataset
    dataset.attrs["schema_version"] = 99
    with pytest.raises(CorruptFile, match="schema version 99"):
        load(write_dataset(dataset, tmp_path / "new.nc"))
    dataset.attrs["schema_version"] = 1
    del dataset.attrs["problem"]
    with pytest.raises(CorruptFile, match="lacks the attribute 'problem'"):
        load(write_dataset(dataset, tmp_path / "poor.nc"))
    dataset.to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    with pytest.raises(CorruptFile, match="another program"):
        load(tmp_path / "foreign.nc")
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path / "none.nc")
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path)
    with pytest.raises(UnwritableFile, match="is a folder"):
        small().save(tmp_path)


def test_strings_that_come_back_as_objects_become_strings(tmp_path, monkeypatch):
    names = Coordinate(("sample",), np.array(["train", "é"]), "split")
    path = make({}, {"split": names}).save(tmp_path / "a.nc")
    opened = xr.open_dataset

    def as_objects(*arguments, **options):
        dataset = opened(*arguments, **options)
        return dataset.assign_coords(split=dataset["split"].astype(object))

    monkeypatch.setattr(netcdf.xr, "open_dataset", as_objects)
    split = load(path)["split"]
    assert split.dtype == "<U5"
    assert split.values.tolist() == ["train", "é"]
    assert split.attrs["long_name"] == "split"
