import threading
import time

import pytest

from geoseg_engine.contract import Cancelled
from geoseg_engine.raster.stream import pump


def test_everything_passes_once_and_in_order():
    done = []
    pump(range(50), lambda x: x * 2, lambda x: x + 1, done.append)
    assert done == [2 * x + 1 for x in range(50)]


def test_a_slow_model_or_writer_holds_the_reader_back():
    lock, alive, maximum = threading.Lock(), [0], [0]

    def read(x):
        with lock:
            alive[0] += 1
            maximum[0] = max(maximum[0], alive[0])
        return x

    def write(x):
        time.sleep(0.003)
        with lock:
            alive[0] -= 1

    pump(range(60), read, lambda x: x, write, depth=1)
    assert alive[0] == 0
    assert maximum[0] <= 5


@pytest.mark.parametrize("stage", ["read", "compute", "write"])
def test_an_error_of_any_stage_reaches_the_caller_and_ends_the_threads(stage):
    def step(name):
        def work(x):
            if name == stage and x == 7:
                raise ValueError(stage)
            return x

        return work

    with pytest.raises(ValueError, match=stage):
        pump(range(10**6), step("read"), step("compute"), step("write"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("reader", "writer"))]


def test_cancelling_in_the_model_stops_reading():
    read = []

    def compute(x):
        if x == 3:
            raise Cancelled
        return x

    with pytest.raises(Cancelled):
        pump(range(1000), lambda x: read.append(x) or x, compute, lambda x: None)
    assert len(read) < 10
