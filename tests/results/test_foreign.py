"""Files that somebody else wrote: what no result holds is refused before any of it is read."""

import hashlib
import io
import json
import struct

import h5netcdf
import h5py
import numpy as np
import pytest
from xarray.backends import H5NetCDFStore

from orderparam.errors import CorruptFile
from orderparam.results import Coordinate, Solution, Variable, Verdict, build_solution, load

MARK = b"\norderparam sha256 "
TRAILER = len(MARK) + 65


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A small result with numbers, booleans and strings, as a file."""
    solution = build_solution(
        {
            "loss": Variable(("time",), np.linspace(1, 0, 5), "loss", "L", se=np.full(5, 0.1)),
            "valid": Variable(("sample",), np.array([True, False, True]), "validity", "v"),
        },
        {
            "time": Coordinate(("time",), np.arange(5), "step", "steps"),
            "split": Coordinate(("sample",), np.array(["train", "é", "test"]), "split"),
        },
        family="kernels",
        kind="theory",
        problem={"gamma0": 1.0, "network": {"depth": 2}},
        method={"name": "causal"},
        seed=0,
        verdict=Verdict.CONVERGED,
        message="All is well.",
        diagnostics={"ranks": [1, 2]},
        precision="float64",
        device="cpu",
        wall_time=0.1,
        compile_time=None,
        sources=["bordelon2022"],
    )
    return solution.save(tmp_path_factory.mktemp("valid") / "a.nc")


def sealed(content: bytes) -> bytes:
    return content + MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def changed(valid, path, change):
    """A copy with a change made by HDF5 and a seal that is right."""
    path.write_bytes(valid.read_bytes()[:-TRAILER])
    with h5py.File(path, "r+") as file:
        change(file)
    path.write_bytes(sealed(path.read_bytes()))
    return path


def external_storage(file):
    path = str(file.filename).replace("b.nc", "secret").encode()
    file.create_dataset("x", (6,), "u1", external=[(path, 0, 6)])


def virtual(file):
    layout = h5py.VirtualLayout((6,), "f8")
    layout[:] = h5py.VirtualSource("secret", "x", (6,))
    file.create_virtual_dataset("x", layout)


def lists(file):
    file.create_dataset("x", (2,), h5py.vlen_dtype(np.int64))[0] = [1, 2, 3]


def references(file):
    file.create_dataset("x", (2,), h5py.ref_dtype)[0] = file["loss"].ref


def sparse(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    space = h5py.h5s.create_simple((10**11,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, plan)


def unlike_strings(file):
    file["x"] = np.array(["s" * 10**6, *[""] * 10**4], dtype=h5py.string_dtype())


HOSTILE = {
    "external link": (lambda f: f.update({"x": h5py.ExternalLink("secret", "/x")}), "is a link"),
    "soft link": (lambda f: f.update({"x": h5py.SoftLink("/loss")}), "is a link"),
    "group": (lambda f: f.create_group("x"), "is a group"),
    "circle": (lambda f: f.update({"x": f["/"]}), "is a group"),
    "type": (lambda f: f.update({"x": np.dtype("f8")}), "or a type"),
    "external storage": (external_storage, "in another file"),
    "virtual": (virtual, "in another file"),
    "lists": (lists, "has the type"),
    "references": (references, "has the type"),
    "records": (lambda f: f.update({"x": np.zeros(2, "f8,i4")}), "has the type"),
    "complex": (lambda f: f.update({"x": np.zeros(2, "c16")}), "has the type"),
    "sparse": (sparse, "needs 800000000000 bytes, but 0 are stored"),
    "sparse chunks": (
        lambda f: f.create_dataset("x", (10**11,), "f8", chunks=(1000,)),
        "needs 800000000000 bytes",
    ),
    "compressed": (
        lambda f: f.create_dataset("x", data=np.zeros(10**5), compression="gzip"),
        "needs 800000 bytes",
    ),
    "unlike strings": (unlike_strings, "of too different lengths"),
    "array attribute": (lambda f: f.attrs.update({"seed": [1, 2]}), "'seed' is an array"),
    "array attribute of an array": (
        lambda f: f["loss"].attrs.update({"long_name": ["a", "b"]}),
        "'long_name' is an array",
    ),
    "reference attribute": (lambda f: f.attrs.update({"x": f["loss"].ref}), "has the type"),
    "empty attribute": (
        lambda f: f.attrs.update({"message": h5py.Empty("f8")}),
        "cannot be read as NetCDF",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_no_result_holds_is_refused(valid, tmp_path, kind):
    change, message = HOSTILE[kind]
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(CorruptFile, match=message):
        load(changed(valid, tmp_path / "b.nc", change))


def deep(levels):
    return "[" * levels + "]" * levels


ATTRIBUTES = [
    ("verdict", "perfect", "'verdict' .* is 'perfect'"),
    ("kind", "hearsay", "'kind' .* is 'hearsay'"),
    ("seed", "seven", "'seed' .* is 'seven'"),
    ("family", 5, "'family' .* is 5"),
    ("family", "a\ud800", "is no text|cannot be read"),
    ("problem", "{", "'problem' .* cannot be read as JSON"),
    ("problem", "[]", "holds a list, but a dict"),
    ("problem", '{"a": "\\ud800"}', "cannot be read as JSON"),
    ("problem", '{"a": ' + deep(65) + "}", "more than 64 levels"),
    ("problem", '{"a": ' + deep(200_000) + "}", "cannot be read as JSON"),
    ("problem", '{"a": ' + "1" * 5000 + "}", "cannot be read as JSON"),
    ("diagnostics", "3", "holds a int"),
    ("sources", "[3]", "'sources' .* other things than names"),
    ("schema_version", 99, "schema version 99"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "message"), ATTRIBUTES)
def test_attributes_that_no_result_has_are_refused(valid, tmp_path, name, value, message):
    if isinstance(value, str):
        value = np.array(value.encode("utf-8", "surrogatepass"), dtype=h5py.string_dtype())
    path = changed(valid, tmp_path / "b.nc", lambda f: f.attrs.update({name: value}))
    with pytest.raises(CorruptFile, match=message):
        load(path)


@pytest.mark.parametrize("kind", ["standard_error", "bias", "trials"])
@pytest.mark.parametrize("other", ["", "loss_s\x7f", "valid", "split", 7])
def test_errors_that_a_result_does_not_hold_are_refused(valid, tmp_path, kind, other):
    """What a variable names as its error is read wherever the result is shown."""
    path = changed(valid, tmp_path / "b.nc", lambda f: f["loss"].attrs.update({kind: other}))
    with pytest.raises(CorruptFile, match=f"the {kind} of 'loss' is"):
        load(path)


def test_a_description_that_is_deep_is_refused_before_it_is_written(valid, tmp_path):
    assert load(changed(valid, tmp_path / "b.nc", lambda f: None)).seed == 0
    at_most = json.dumps({"a": json.loads(deep(64))})
    path = changed(valid, tmp_path / "c.nc", lambda f: f.attrs.update({"problem": at_most}))
    assert len(repr(load(path))) > 0
    again = load(load(path).save(tmp_path / "d.nc"))
    assert again.problem == load(path).problem


def without_sums(valid) -> bytes:
    """The same result in the older format of HDF5, which has no sums of its own over its parts."""
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w", track_order=False) as file:
        load(valid).dataset.dump_to_store(H5NetCDFStore(file))
    return buffer.getvalue()


@pytest.mark.parametrize(("number", "size"), [(0, 0), (0, 2**64 - 1), (9, 2**64 - 1), (9, 5000)])
def test_a_heap_that_has_no_end_is_refused(valid, tmp_path, number, size):
    """HDF5 walks through such a heap for ever."""
    content = bytearray(without_sums(valid))
    start = content.find(b"GCOL") + 16
    content[start : start + 16] = struct.pack("<HHIQ", number, 1, 0, size)
    path = tmp_path / "b.nc"
    path.write_bytes(sealed(bytes(content)))
    with pytest.raises(CorruptFile, match="the heap at byte"):
        load(path)


def mutants(content: bytes, count: int, seed: int):
    """The same bytes with a few of them changed, mostly where HDF5 keeps its structure."""
    random = np.random.default_rng(seed)
    used = np.flatnonzero(np.frombuffer(content, np.uint8))
    for _ in range(count):
        damaged = bytearray(content)
        for place in random.choice(used, random.integers(1, 4)):
            kind = random.integers(4)
            if kind == 0:
                damaged[place] ^= 1 << random.integers(8)
            elif kind == 1:
                damaged[place] = random.choice([0, 1, 127, 128, 255])
            elif kind == 2:
                damaged[place : place + 8] = bytes([255] * 8)
            else:
                other = random.choice(used)
                damaged[place : place + 8] = content[other : other + 8]
        yield bytes(damaged[: len(content)])


def survives(valid, tmp_path, count: int, seed: int) -> tuple[int, int]:
    """Numbers of mutants that were refused, and that were read as a result which can be used."""
    path, refused = tmp_path / "b.nc", 0
    for mutant in mutants(without_sums(valid), count, seed):
        path.write_bytes(sealed(mutant))
        try:
            solution = load(path)
        except CorruptFile:
            refused += 1
            continue
        assert isinstance(solution, Solution)
        assert len(repr(solution)) < 10**4
        for name in solution.variables:
            assert solution.error(name).shape == solution[name].shape
        assert solution.dataset.nbytes <= 2 * len(mutant)
    return refused, count - refused


def test_sealed_mutants_are_refused_or_read(valid, tmp_path):
    refused, read = survives(valid, tmp_path, 60, seed=0)
    assert refused > 10
    assert read > 2


@pytest.mark.validate
def test_many_sealed_mutants_are_refused_or_read(valid, tmp_path):
    refused, read = survives(valid, tmp_path, 1000, seed=1)
    assert refused > 200
    assert read > 50
