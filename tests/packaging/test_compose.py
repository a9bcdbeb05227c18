"""The sample of a composition is one, and keeps what the image promises."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from uncnn.daemon.cli.web import PORT

FILE = Path(__file__).resolve().parents[2] / "packaging" / "compose.yaml"


def test_each_service_has_no_rights_and_a_read_only_root() -> None:
    services = yaml.safe_load(FILE.read_text())["services"]
    assert set(services) == {"uncnn", "page"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["volumes"] == ["./photos:/photos", "./data:/data"]
    assert services["uncnn"]["network_mode"] == "none"
    assert services["page"]["pid"] == "service:uncnn", "or a signal for the service would reach the page itself"
    assert services["page"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"], "this machine alone"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose (Debian's package)")
def test_it_is_valid() -> None:
    done = subprocess.run(["docker-compose", "-f", FILE, "config", "-q"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
