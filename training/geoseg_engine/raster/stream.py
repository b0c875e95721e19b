"""Read, compute and write at the same time, with at most a few windows in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Done = TypeVar("Done")


MAX_THREADS = 4
"""Each thread holds its own arrays, so memory must not grow with the computer."""


def worker_count() -> int:
    """Return the processor cores that this process may use, at most MAX_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_THREADS)


def pump(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    compute: Callable[[Read], Done],
    write: Callable[[Done], None],
    depth: int = 1,
    readers: int = 1,
) -> None:
    """Pass every item through read (own threads), compute (this thread) and write (own thread), in order.

    At most `depth` items wait on either side of `compute`, so memory does not grow with the number of
    items. The first error of any stage ends all three and is raised here; what has been read by then is
    dropped, what has been computed may or may not have been written.

    Args:
        items: to process.
        read: runs in `readers` threads of its own.
        compute: runs in this thread.
        write: runs in a thread of its own.
        depth: items that may wait, at least 1.
        readers: threads that read, each an item; no more than depth + 1 have one.
    """
    reader = ThreadPoolExecutor(readers, "reader")
    writer = ThreadPoolExecutor(1, "writer")
    written: deque[Future[None]] = deque()
    try:
        for item in _ahead(reader, items, read, depth):
            result = compute(item)
            del item
            while len(written) >= depth:
                written.popleft().result()
            written.append(writer.submit(write, result))
            del result
        while written:
            written.popleft().result()
    finally:
        reader.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)


def _ahead(
    reader: ThreadPoolExecutor, items: Iterable[Item], read: Callable[[Item], Read], depth: int
) -> Iterator[Read]:
    """Results of `read` in order, `depth` of them read ahead."""
    waiting: deque[Future[Read]] = deque()
    for item in items:
        waiting.append(reader.submit(read, item))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
