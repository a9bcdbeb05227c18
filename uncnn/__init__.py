"""Cloak a photo, or judge a copy of one, from Python.

Nothing heavy is imported before it is used: torch, ONNX Runtime and the models are loaded by the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uncnn.daemon.config.policies import Policy
    from uncnn.daemon.python import Cloaked, cloak, verify
    from uncnn.daemon.verify.verdict import Verdict

    __version__: str

__all__ = ["Cloaked", "Policy", "Verdict", "__version__", "cloak", "verify"]

_MODULES = {
    "Cloaked": "uncnn.daemon.python",
    "Policy": "uncnn.daemon.config.policies",
    "Verdict": "uncnn.daemon.verify.verdict",
    "cloak": "uncnn.daemon.python",
    "verify": "uncnn.daemon.python",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("uncnn")
    if name not in _MODULES:
        raise AttributeError(f"module 'uncnn' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
