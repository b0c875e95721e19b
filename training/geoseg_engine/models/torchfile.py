"""Safe reading of torch files: checkpoints and weights, ours and of other programs.

Code in a file is never run (`weights_only`), and nothing is unpacked that is larger than the file: torch stores tensors
as they are, so a compressed entry was not written by torch, and may be a thousand times as large as it looks.
"""

from __future__ import annotations

import pickle  # nosec B403  # for the name of its error
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    ImportError,
)
"""Errors of torch, pickle and zipfile for a file that torch did not write, or a damaged one."""


def read_torch(path: Path) -> Any:
    """Read a torch file, its tensors on the CPU.

    Raises:
        OSError: where the file cannot be read.
        ValueError: for a file that torch did not write, or that is damaged, with the reason.
    """
    try:
        if zipfile.is_zipfile(path):
            _check_uncompressed(path)
        return torch.load(path, map_location="cpu", weights_only=True)  # nosec B614  # runs no code
    except OSError as error:
        if error.filename is not None:
            raise
        raise _damage_error(error) from error  # of an offset outside the file
    except DAMAGE as error:
        raise _damage_error(error) from error


def _damage_error(error: Exception) -> ValueError:
    lines = str(error).splitlines() or [type(error).__name__]
    return ValueError(f"it is damaged, or not written by torch ({lines[0][:120]})")


def _check_uncompressed(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError(f"its entries, such as {(packed or ['data'])[0][:40]}, are packed")
