"""`python -m eval.suite`."""

import sys

from flexlam_rl.eval.suite.command import main

if __name__ == "__main__":
    sys.exit(main())
