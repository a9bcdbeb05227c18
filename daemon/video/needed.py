"""What cloaking videos needs that is not everywhere: an extra package, and a policy that can be kept with them."""

from __future__ import annotations

from uncnn.daemon.config.policies import Policy
from uncnn.plugins.extras import MissingPackage, require


def what_keeps_videos(policy: Policy) -> str:
    """Return in words what keeps videos from being cloaked under a policy, and what to do; "" where nothing does."""
    if policy.faces.who != "all":
        return "faces of enrolled people cannot be told apart in a video: use a policy with `faces: {who: all}` for it"
    try:
        require("av")
    except MissingPackage as error:
        return f"a video needs the extra video ({error})"
    return ""
