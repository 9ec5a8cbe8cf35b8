"""Which pickles are run at all: the instructions are followed once without making anything.

Python's own reader trusts a pickle: it nests without bound, which ends the process where a nested
value is hashed or freed, and it hashes whatever stands as a key, which can take for ever. Batches
of CIFAR-10 need a few dozen containers and keys that are texts.
"""

import pickle
import pickletools
from collections.abc import Sequence
from typing import Any

# fmt: off
TEXTS = frozenset(
    {
        "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
        "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    }
)
CONTAINERS = frozenset(
    {
        "EMPTY_DICT", "DICT", "EMPTY_LIST", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2",
        "TUPLE3",
    }
)
ATOMS = frozenset(
    {
        "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    }
)
INSTRUCTIONS = TEXTS | CONTAINERS | ATOMS | {
    "PROTO", "FRAME", "STOP", "MARK", "SETITEM", "SETITEMS", "APPEND", "APPENDS", "PUT", "BINPUT",
    "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE",
    "BUILD",
}
# fmt: on
MOST_CONTAINERS = 200
"""Containers in one pickle, and with it the levels of its nesting."""

MOST_INSTRUCTIONS = 10**5
"""Instructions in one pickle; a batch of CIFAR-10, with its 10000 names and labels, has 40000."""

TEXT, OTHER, MARKER = "text", "other", "marker"


def check_program(content: bytes) -> None:
    """Follow the instructions of a pickle, knowing of each value only whether it is a text.

    Args:
        content: The bytes of a pickle.

    Raises:
        UnpicklingError: If an instruction is not admitted, takes what is not there, makes another
            value than a text a key, or if there are too many instructions or containers.
        ValueError: If the bytes are no pickle.
    """
    machine = _Machine(len(content))
    for number, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        if instruction.name not in INSTRUCTIONS:
            raise pickle.UnpicklingError(f"the instruction {instruction.name} is not admitted")
        if number == MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has more than {MOST_INSTRUCTIONS} instructions")
        if instruction.name in ATOMS:
            machine.stack.append(OTHER)
        else:
            machine.follow(instruction, argument)


class _Machine:
    """What stands on the stack, and what is remembered.

    Args:
        size: Bytes of the pickle.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.stack: list[str] = []
        self.memory: dict[int, str] = {}
        self.containers = 0

    def follow(self, instruction: pickletools.OpcodeInfo, argument: Any) -> None:
        """Do to the stack what one instruction does."""
        name = instruction.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._remember(len(self.memory) if name == "MEMOIZE" else int(argument))
            return
        if name in ("GET", "BINGET", "LONG_BINGET"):
            if int(argument) not in self.memory:
                raise pickle.UnpicklingError("it takes what it has not kept")
            self.stack.append(self.memory[int(argument)])
            return
        self._require_keys(name, self._take(instruction.stack_before))
        self.containers += name in CONTAINERS
        if self.containers > MOST_CONTAINERS:
            raise pickle.UnpicklingError(f"it has more than {MOST_CONTAINERS} containers")
        for _ in instruction.stack_after:
            kind = MARKER if name == "MARK" else TEXT if name in TEXTS else OTHER
            self.stack.append(kind)

    def _take(self, before: Sequence[pickletools.StackObject]) -> list[str]:
        """Remove what an instruction uses: back to a mark where it says so."""
        taken: list[str] = []
        if pickletools.markobject in before:
            while self.stack and self.stack[-1] != MARKER:
                taken.append(self.stack.pop())
            if not self.stack:
                raise pickle.UnpicklingError("it goes back to a mark that it has not made")
            self.stack.pop()
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            if not self.stack or self.stack[-1] == MARKER:
                raise pickle.UnpicklingError("it takes more than it has made")
            taken.append(self.stack.pop())
        return taken[::-1]

    def _remember(self, place: int) -> None:
        """Keep the value on top; the reader reserves room for as many as the place says."""
        if place > self.size:
            raise pickle.UnpicklingError("it reserves more memory than it can use")
        if not self.stack or self.stack[-1] == MARKER:
            raise pickle.UnpicklingError("it keeps what it has not made")
        self.memory[place] = self.stack[-1]

    def _require_keys(self, name: str, taken: Sequence[str]) -> None:
        """Keys are texts: any other value could take for ever to be hashed or compared."""
        first = {"SETITEM": 1, "SETITEMS": 1, "DICT": 0}.get(name)
        if first is not None and any(kind != TEXT for kind in taken[first::2]):
            raise pickle.UnpicklingError("a key in it is no text")
