"""The programs that the verifier starts: its sandbox permits these and no others."""

from __future__ import annotations

from typing import Final

BUTTERAUGLI: Final = "butteraugli_main"
"""The program of Debian's libjxl-devtools, asked where it is installed."""
