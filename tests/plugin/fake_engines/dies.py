"""An engine that is killed from outside in the middle of its work."""

import os
import signal
import sys

print('{"v": "1.0", "type": "hello", "t": 1, "protocol": "1.0"}', flush=True)
print('{"v": "1.0", "type": "progress", "t": 2, "phase": "work", "done": 1, "total": 9}', flush=True)
print("the last thing it said on stderr", file=sys.stderr, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
