"""The metadata of an ONNX file without its graph, which for a forest is millions of nodes.

A protobuf message is a sequence of fields, each with its number, its wire type and, except for numbers, its length
(https://protobuf.dev/programming-guides/encoding): other fields are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import onnx

from .onnx_file import not_our_model

METADATA_FIELD = onnx.ModelProto.DESCRIPTOR.fields_by_name["metadata_props"].number
NUMBER, EIGHT_BYTES, WITH_LENGTH, FOUR_BYTES = 0, 1, 2, 5
MAX_NUMBER_BYTES = 10
"""Bytes of a 64-bit number in groups of seven bits."""
MAX_FIELDS, MAX_METADATA_BYTES = 1_000_000, 64 << 20
"""Maximum of a file: a model has a few dozen fields, and some megabytes of metadata."""


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata, key to text.

    Raises:
        ValueError: for a file that is no sequence of fields to its end, or has more metadata than a model needs.
        google.protobuf.message.DecodeError: for damaged metadata.
        GeoSegError: `not_our_model` for text that is not UTF-8.
    """
    found, held = {}, 0
    with path.open("rb") as file:
        for field, kind, length in _fields(file, path):
            if field != METADATA_FIELD or kind != WITH_LENGTH:
                file.seek(length, 1)
                continue
            held += length
            if held > MAX_METADATA_BYTES:
                raise ValueError(f"{path.name} has more than {MAX_METADATA_BYTES >> 20} MB of metadata")
            entry = onnx.StringStringEntryProto.FromString(file.read(length))
            if not isinstance(entry.key, str) or not isinstance(entry.value, str):
                raise not_our_model(path, "a text of its metadata is not UTF-8")
            found[entry.key] = entry.value
    return found


def _fields(file: BinaryIO, path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield number, kind and bytes of every field; the caller skips or reads its bytes."""
    size, count = path.stat().st_size, 0
    while file.tell() < size:
        field, kind = divmod(_number(file), 8)
        count += 1
        if count > MAX_FIELDS:
            raise ValueError(f"{path.name} has more than {MAX_FIELDS} fields")
        if not field:
            raise ValueError(f"{path.name}: no field has the number 0")
        length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, 0)
        if kind == NUMBER:
            _number(file)
        elif kind == WITH_LENGTH:
            length = _number(file)
        elif not length:
            raise ValueError(f"{path.name}: no kind of field has the number {kind}")
        if file.tell() + length > size:
            raise ValueError(f"{path.name} ends in the middle of field {field}")
        yield field, kind, length


def _number(file: BinaryIO) -> int:
    """Groups of seven bits, the lowest first; the last one's highest bit is 0."""
    value = 0
    for place in range(MAX_NUMBER_BYTES):
        byte = file.read(1)
        if not byte:
            raise ValueError("the file ends in the middle of a number")
        value |= (byte[0] & 127) << 7 * place
        if byte[0] < 128:
            return value
    raise ValueError("a number of more than 64 bits")
