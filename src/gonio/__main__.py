"""`python -m gonio` is the command `gonio`."""

import sys

from gonio.cli.main import main

sys.exit(main())
