"""An engine whose libraries print to stdout, with unknown events in between; it still ends well."""

import sys

out = sys.stdout.buffer
out.write(b'{"v": "1.0", "type": "hello", "t": 1, "protocol": "1.0"}\n')
out.write(b"Downloading 100%\r\x1b[2K\n")
out.write(b"\xff\xfe\x00 not UTF-8\n")
out.write(b'{"v": "1.0", "type": "prog\n')
out.write(b"[1, 2, 3]\n\n")
out.write(b'{"type": "json of somebody else"}\n')
out.write(b'{"v": "1.7", "type": "telepathy", "t": 2, "thought": 1}\n')
out.write(b'{"v": "1.0", "type": "done", "t": 3, "result": {"answer": 42}}\n')
out.write(b"a last word after the last event\n")
