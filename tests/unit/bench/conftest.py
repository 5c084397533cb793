import sys
from pathlib import Path

# The bench is scripts that import one another by their bare names.
sys.path.append(str(Path(__file__).parents[3] / "bench"))
