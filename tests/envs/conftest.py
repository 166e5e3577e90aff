"""Helper modules beside the tests: pytest imports test files without their folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
