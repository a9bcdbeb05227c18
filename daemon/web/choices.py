"""How a dropped photo is cloaked: by which policy of the configuration, and with which strength first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uncnn.daemon.config import Config, Policy
from uncnn.daemon.settings import SettingsError, usual_policy
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.site import Site
from uncnn.plugins.registry import STRENGTHS


def first_policy(config: Config) -> str:
    """Return the name of the policy that is used where none is chosen; "": the configuration has none."""
    try:
        return usual_policy(config) or ""
    except SettingsError:  # several, none of which is the usual one
        return next(iter(config.policies))


def chosen(site: Site, fields: Mapping[str, str]) -> tuple[Policy, str]:
    """Return the policy that `policy` and `strength` of a request name, and its name. Raises Refused."""
    name = fields.get("policy") or first_policy(site.config)
    policy = site.config.policies.get(name) if name else Policy()
    strength = fields.get("strength") or ""
    if policy is None or (strength and strength not in STRENGTHS):
        raise Refused(400, "choice")
    if strength:
        policy = policy.at_strength(strength)
    return policy, name


def choices_json(site: Site) -> dict[str, Any]:
    """Return what there is to choose from as JSON values."""
    usual = first_policy(site.config)
    policies = site.config.policies or {"": Policy()}
    return {
        "policies": [
            {"name": name, "strength": policy.attack.strength, "attack": policy.attack.name}
            for name, policy in policies.items()
        ],
        "policy": usual,
        "strengths": list(STRENGTHS),
    }
