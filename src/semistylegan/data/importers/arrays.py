"""Arrays of images too large for the memory: .npy members of an .npz, read in blocks. No pickle is ever loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError

_FORMAT = np.lib.format


class NpzMember:
    """One array of an .npz, compressed or not. Not safe from several threads.

    Attributes:
        shape, dtype: of the whole array.
    """

    def __init__(self, path: Path, key: str) -> None:
        """
        Raises:
            UserError: no .npz, no such array in it, or an array of Python objects.
        """
        self.path, self.key = path, key
        self._open: tuple[zipfile.ZipFile, IO[bytes]] | None = None
        try:
            file = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{path}: not an .npz, or cut off ({error}); download it again") from None
        with file:
            names = [n.removesuffix(".npy") for n in file.namelist()]
            if key not in names:
                raise UserError(f"{path}: holds {', '.join(names[:6]) or 'nothing'}; expected an array {key!r}")
            try:
                with file.open(f"{key}.npy") as stream:
                    version = _FORMAT.read_magic(stream)
                    read = _FORMAT.read_array_header_1_0 if version == (1, 0) else _FORMAT.read_array_header_2_0
                    self.shape, fortran, self.dtype = read(stream)
                    self._begin = stream.tell()
            except (ValueError, EOFError, zipfile.BadZipFile, zlib.error):
                raise UserError(f"{path}: {key} is no .npy array; download it again") from None
        if self.dtype.hasobject or fortran or not self.shape:
            raise UserError(f"{path}: {key} is no plain array of numbers in C order; download it again")
        self._row = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    def rows(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Entries start to stop of the first axis. Quick in ascending order. The file stays open for the next call.

        Raises:
            UserError: damaged or cut off.
        """
        wanted = (stop - start) * self._row
        try:
            if self._open is None:
                file = zipfile.ZipFile(self.path)
                self._open = file, file.open(f"{self.key}.npy")
            self._open[1].seek(self._begin + start * self._row)
            data = self._open[1].read(wanted)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            self.close()
            raise UserError(f"{self.path}: {self.key} is damaged ({error}); download it again") from None
        if len(data) != wanted:
            self.close()
            raise UserError(f"{self.path}: {self.key} is cut off; download it again")
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape[1:])

    def close(self) -> None:
        """Closes the file; `rows` opens it again."""
        if self._open is not None:
            self._open[1].close()
            self._open[0].close()
            self._open = None

    def expect(self, shape: tuple[int, ...], kinds: str) -> None:
        """Checks shape and kind of number ("u" unsigned, "i" signed, "f" float, "b" bool).

        Raises:
            UserError: another shape; says which was expected.
        """
        if self.shape != shape or self.dtype.kind not in kinds:
            found, wanted = (" x ".join(map(str, s)) for s in (self.shape, shape))
            raise UserError(
                f"{self.path}: {self.key} is {found} {self.dtype}; expected {wanted}; is it the right file?"
            )
