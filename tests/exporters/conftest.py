"""Lets the tests import `model_server`: pytest's importlib mode adds no folder of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
