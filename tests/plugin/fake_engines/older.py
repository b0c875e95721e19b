"""An engine of an older version."""

import time

print('{"v": "0.9", "type": "hello", "t": 1, "protocol": "0.9"}', flush=True)
time.sleep(600)
