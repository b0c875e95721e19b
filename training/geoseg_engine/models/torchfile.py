"""The border that files of torch come in through: checkpoints and weights, ours and of others.

Code in a file is never run (`weights_only`), and nothing is unpacked that is larger than the file: torch stores tensors
as they are, so an entry that is compressed is none of torch's, and may be a thousand times as large as it looks.
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
"""What torch, pickle and zipfile raise for a file that is none of torch's, or a damaged one."""


def read_torch(path: Path) -> Any:
    """What a file of torch holds, its tensors on the CPU.

    Raises:
        OSError: where the file cannot be read.
        ValueError: for a file that torch has not written, or that is damaged, with the reason.
    """
    try:
        if zipfile.is_zipfile(path):
            _refuse_packed(path)
        return torch.load(path, map_location="cpu", weights_only=True)  # nosec B614  # runs no code
    except OSError as error:
        if error.filename is not None:
            raise
        raise _damaged(error) from error  # of a place in the file that is none
    except DAMAGE as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ValueError:
    lines = str(error).splitlines() or [type(error).__name__]
    return ValueError(f"it is damaged, or not written by torch ({lines[0][:120]})")


def _refuse_packed(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError(f"its entries, such as {(packed or ['data'])[0][:40]}, are packed")
