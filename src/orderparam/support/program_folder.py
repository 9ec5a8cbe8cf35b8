"""Compiled programs on the disk, for every process that wants one: the folder and its order.

JAX's own folder is written in place, so that a process that is killed leaves half a program there
for good, and without a further package it grows for ever. This one seals each file with a sum over
its bytes, lets it appear under its name whole or not at all, and removes those that were not used
for longest. Nothing is locked: a file that another process removed is a program to compile.
"""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

_SUM = hashlib.sha256
_SUFFIX = ".program"
_TEMPORARY = ".program-being-written"
_DEAD = 3600.0  # seconds after which the writer of a temporary file is not coming back


class ProgramFolder:
    """Programs by key, as JAX's persistent cache asks for and offers them.

    Args:
        path: The folder, which has to be there; other files in it are left alone.
        limit: Bytes that all programs together may take.
        prefix: Of file names, for what a key does not say: the machine that can run the program.
    """

    def __init__(self, path: Path, limit: int, prefix: str) -> None:
        self.path = self._path = path  # JAX reads the second
        self.limit = limit
        self.prefix = prefix

    def get(self, key: str) -> bytes | None:
        """The program, now the one used last; `None` where there is none, or a damaged one."""
        file = self._file(key)
        try:
            sealed = file.read_bytes()
            seal, program = sealed[: _SUM().digest_size], sealed[_SUM().digest_size :]
            if _SUM(program).digest() != seal:
                return None
            os.utime(file)
        except OSError:
            return None
        return program

    def put(self, key: str, value: bytes) -> None:
        """Keep a program; without effect where the folder cannot take it."""
        content = _SUM(value).digest() + value
        if len(content) > self.limit:
            return
        temporary = self._path / f"{secrets.token_hex(8)}{_TEMPORARY}"
        with suppress(OSError):
            try:
                temporary.write_bytes(content)
                temporary.replace(self._file(key))
            finally:
                temporary.unlink(missing_ok=True)
            self.tidy()

    def tidy(self) -> None:
        """Remove the programs not used for longest until the rest keeps to the limit."""
        kept = []
        for entry in os.scandir(self._path):
            with suppress(OSError):  # another process removed it
                status = entry.stat()
                if entry.name.endswith(_SUFFIX):
                    kept.append((status.st_mtime_ns, status.st_size, entry.path))
                elif entry.name.endswith(_TEMPORARY) and time.time() - status.st_mtime > _DEAD:
                    os.unlink(entry.path)
        total = 0
        for _, size, path in sorted(kept, reverse=True):
            total += size
            if total > self.limit:
                with suppress(OSError):
                    os.unlink(path)

    def _file(self, key: str) -> Path:
        return self._path / f"{self.prefix}-{key}{_SUFFIX}"
