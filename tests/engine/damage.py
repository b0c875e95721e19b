"""Files as they come out of a broken disk or an unkind hand, drawn with a seed: flipped bytes, cut ends, new values."""

from __future__ import annotations

import copy
import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from geoseg_engine.contract import GeoSegError
from geoseg_engine.run import guarding_errors

VALUES = (
    None, True, -1, 0, 3, 255, 100_000, 2**31, 2**40, 2**63, -(2**63), 0.5, 1e300, -1e-300, "", "x", "é", "../../x",
    "\ud800", "x" * 5000, [], {}, [[]], [None], {"": None}, [1, 2, 3], ["a"], {"name": "unet"}, {"a": {"b": [1]}},
)  # fmt: skip
"""What a value of a file may be replaced by; each is JSON, most of another type than the one that stood there."""
TEXTS = (
    "NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "-" + "9" * 5000, '{"a":1,"a":2}', "[" * 100_000,
    '{"a":' * 5000, '"\\u0000"', "01", "'a'", "", "tru", "\ufeff1",
)  # fmt: skip
"""What a value of a JSON text may be replaced by that is no JSON, or none that everybody reads in the same way."""
MAX_MB = 400
"""By which reading small files may raise the memory of the process at the most."""


def damaged_bytes(whole: bytes, number: int, seed: int) -> Iterator[bytes]:
    """So many times the bytes with some flipped, a piece cut off, out, repeated or overwritten."""
    draw = random.Random(seed)
    for _ in range(number):
        content = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 8))):
            at = draw.randrange(len(content)) if content else 0
            length = draw.choice((1, 1, 4, 64, 1000))
            kind = draw.randrange(5)
            if kind == 0 and content:
                content[at] ^= 1 << draw.randrange(8)
            elif kind == 1:
                del content[at : at + length]
            elif kind == 2:
                content[at:at] = content[at : at + length]
            elif kind == 3:
                content[at : at + length] = draw.randbytes(length)
            else:
                del content[at:]
        yield bytes(content)


def damaged_values(whole: Any, number: int, seed: int) -> Iterator[Any]:
    """So many times the plain data with one or two values replaced, left out or added, at any depth."""
    draw = random.Random(seed)
    for _ in range(number):
        value = copy.deepcopy(whole)
        for _ in range(draw.choice((1, 1, 1, 2))):
            value = _changed(value, draw)
        yield value


def damaged_entries(whole: dict[str, Any], number: int, seed: int) -> Iterator[dict[str, Any]]:
    """So many times the object with one of its values damaged, or left out."""
    draw = random.Random(seed)
    for _ in range(number):
        key = draw.choice(list(whole))
        found = copy.deepcopy(whole)
        found[key] = _changed(found[key], draw)
        if draw.randrange(20) == 0:
            del found[key]
        yield found


def damaged_json(whole: Any, number: int, seed: int) -> Iterator[bytes]:
    """So many JSON files of damaged values; in a quarter of them a value is replaced by what is no JSON."""
    draw = random.Random(seed)
    for value in damaged_values(whole, number, seed):
        text = json.dumps(value)
        if draw.randrange(4) == 0:
            places = [place for place in range(len(text)) if text[place] in ":,["]
            at = draw.choice(places) + 1 if places else 0
            text = text[:at] + draw.choice(TEXTS) + text[at + draw.choice((0, 1, 5)) :]
        yield text.encode("utf-8", "surrogatepass")


def survives(read: Callable[[], object]) -> GeoSegError | None:
    """The error that a reader gives in the engine, None for a value; a fault of GeoSeg goes on."""
    try:
        with guarding_errors():
            read()
    except GeoSegError as error:
        if error.code == "internal":
            raise error.__cause__ or error from None
        assert error.code and error.message and "\n" not in error.message and "Traceback" not in error.message
        return error
    return None


@contextmanager
def modest_memory() -> Iterator[None]:
    """Fail if the block raises the process's peak of memory by more than MOST_MB."""
    before = _peak_mb()
    yield
    assert _peak_mb() - before < MAX_MB


def _peak_mb() -> float:
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1 << 10
    )


def _changed(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        found = dict(value)
        if draw.randrange(8) == 0:
            del found[key]
        elif draw.randrange(12) == 0:
            found[draw.choice(("x", "name", ""))] = draw.choice(VALUES)
        else:
            found[key] = _changed(value[key], draw)
        return found
    if isinstance(value, list) and value and draw.random() < 0.8:
        place = draw.randrange(len(value))
        kind = draw.randrange(6)
        if kind == 0:
            return value[:place] + value[place + 1 :]
        if kind == 1:
            return [*value, value[place]]
        return [*value[:place], _changed(value[place], draw), *value[place + 1 :]]
    return draw.choice(VALUES)
