"""An engine that reacts to neither the cancel file nor SIGTERM, with a child that holds stdout open."""

import signal
import subprocess
import sys
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"v": "1.0", "type": "hello", "t": 1, "protocol": "1.0"}', flush=True)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
while True:
    time.sleep(1)
