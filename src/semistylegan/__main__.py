"""`python -m semistylegan` is the `semistylegan` command."""

import sys

from semistylegan.cli import main

if __name__ == "__main__":
    sys.exit(main())
