"""`python -m geoseg_engine`: the command `geoseg`."""

import sys

from .cli import main

sys.exit(main())
