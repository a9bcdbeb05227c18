"""An archive in a folder, or on an S3 server of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from planned_archive import Archive
from scene import Scene
from stub_engine import stub_for


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Yield the address of a real S3 server on this machine."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty bucket."""
    for name, value in (
        ("AWS_ENDPOINT_URL", s3),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    name = tmp_path.name.replace("_", "-").lower()[:40] + f"-{abs(hash(tmp_path)) % 10**9}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def archive(
    request: pytest.FixtureRequest, scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Archive:
    monkeypatch.setattr("uncnn.daemon.settings.engine_for", stub_for)
    top = str(scene.root) if request.param == "folder" else request.getfixturevalue("bucket")
    return Archive(top, capsys, scene.root / "data" / "uncnn")
