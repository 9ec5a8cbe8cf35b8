"""Pickles made to harm: refused before Python's own reader sees them."""

import pickle
import pickletools
import time

import numpy as np
import pytest

from orderparam.data.instructions import INSTRUCTIONS, MOST_CONTAINERS
from orderparam.data.unpickle import read_dict


def entry(value: bytes) -> bytes:
    """A dict with one value."""
    return b"}U\x01a%ss." % value


def shared(levels: int) -> bytes:
    """A tuple of two times the same tuple of two times the same ..., whose hash takes for ever."""
    return b")q\x00" + b"h\x00\x86q\x00" * levels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (entry(b")" + b"\x85" * 200_000), "containers"),  # ends Python's reader with a signal
        (entry(b"(" * 40_000 + b"t" * 40_000), "containers"),
        (entry(b"]" * 200_000), "containers"),
        (entry(b"K\x01" * 110_000), "instructions"),
        (b"})K\x01s.", "no text"),
        (b"}K\x01K\x01s.", "no text"),
        (b"}(U\x01aK\x01K\x02K\x03u.", "no text"),
        (b"(K\x01K\x02d.", "no text"),
        (b"}" + shared(60) + b"K\x01s.", "no text"),
        (b"}(U\x01aK\x01s.", "more than it has made"),
        (b"}U\x01au.", "a mark that it has not made"),
        (b"h\x05.", "not kept"),
        (b"\x94.", "keeps what it has not made"),
        (b"(q\x00.", "keeps what it has not made"),
    ],
)
def test_programs_that_harm_are_refused_in_no_time(content, message):
    start = time.process_time()
    with pytest.raises(pickle.UnpicklingError, match=message):
        read_dict(content)
    assert time.process_time() - start < 10


def test_what_is_admitted_may_be_nested_and_shared():
    inner = (1, [2, (3, b"four")], {"five": "six"})
    assert read_dict(pickle.dumps({"a": inner, "b": [inner, inner]})) == {
        "a": inner,
        "b": [inner, inner],
    }
    value = 1
    for _ in range(MOST_CONTAINERS - 1):
        value = [value]
    assert read_dict(pickle.dumps({"a": value})) == {"a": value}
    with pytest.raises(pickle.UnpicklingError, match="containers"):
        read_dict(pickle.dumps({"a": [value]}))


def programs(count: int, seed: int):
    """Damaged pickles, and random sequences of the instructions that are admitted."""
    random = np.random.default_rng(seed)
    batch = {"data": np.zeros((2, 3), np.uint8), "labels": [0, 1], "names": (b"a", "b", {})}
    whole = [pickle.dumps(batch, protocol) for protocol in (0, 2, 4)]
    codes = [o for o in pickletools.opcodes if o.name in INSTRUCTIONS]
    for number in range(count):
        if number % 2:
            content = bytearray(whole[random.integers(len(whole))])
            for place in random.integers(len(content), size=random.integers(1, 5)):
                other = codes[random.integers(len(codes))].code.encode("latin-1")
                content[place : place + 1] = other if random.integers(2) else random.bytes(1)
            yield bytes(content)
            continue
        parts = [b"}"]
        for code in random.choice(codes, random.integers(2, 60)):  # pyright: ignore
            argument = b"" if code.arg is None else random.bytes(1) * max(code.arg.n, 0)
            parts.append(code.code.encode("latin-1") + argument)
        yield b"".join(parts) + b"."


def survives(count: int, seed: int) -> int:
    """How many of the programs were read as a dict; the others were refused."""
    read = 0
    for content in programs(count, seed):
        try:
            found = read_dict(content)
        except Exception:  # as the function says; what counts is that the process lives
            continue
        assert all(isinstance(key, str) for key in found)
        read += 1
    return read


def test_damaged_and_random_pickles_are_refused_or_read():
    assert survives(200, seed=0) > 0


@pytest.mark.validate
def test_many_damaged_and_random_pickles_are_refused_or_read():
    assert survives(1000, seed=1) > 10
