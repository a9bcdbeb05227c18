"""A server over real ssh: Debian's sshd on the loopback, with a key that may do nothing but this."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from uncnn.daemon.config.servers import Address
from uncnn.daemon.remote.frames import Frame
from uncnn.daemon.remote.hello import Hello
from uncnn.daemon.remote.packing import pack_faces, unpack_patches
from uncnn.daemon.remote.servers import Servers, ServersUnavailable
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.api import Face
from uncnn.plugins.engine.patches import FaceInPhoto, cut_faces
from uncnn.plugins.recognisers.cards import read_card
from uncnn.plugins.registry import make_budget

pytestmark = pytest.mark.slow

NAME = "mobilefacenet-foamliu"
FACE = Face((187.0, 75.0, 266.0, 178.0), ((207, 110), (245, 108), (228, 135), (210, 152), (243, 151)), 0.99)
COMMAND = f"{Path(sys.executable).with_name('uncnn-daemon')} serve --stdio --device cpu"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Yield where sshd listens that lets one key in, for one command, and have ssh use that key."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if program is None or shutil.which("ssh") is None:
        pytest.skip("needs sshd and ssh (Debian's openssh-server, openssh-client)")
    tmp_path.chmod(0o700)
    for key in ("host", "mine", "other", "free"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)], check=True)
    key, free = ((tmp_path / f"{name}.pub").read_text() for name in ("mine", "free"))
    (tmp_path / "authorized_keys").write_text(f'command="{COMMAND}",restrict {key}{free}')
    (tmp_path / "authorized_keys").chmod(0o600)
    number = free_port()
    with suppress(OSError):  # where sshd wants its empty folder
        Path("/run/sshd").mkdir(mode=0o755)
    (tmp_path / "sshd_config").write_text(
        f"Port {number}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {tmp_path}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    )
    known = f"[127.0.0.1]:{number} {(tmp_path / 'host.pub').read_text()}"
    (tmp_path / "known_hosts").write_text(known)
    monkeypatch.setenv("UNCNN_RSH", f"ssh -F none -i {tmp_path}/mine -o UserKnownHostsFile={tmp_path}/known_hosts")
    service = subprocess.Popen([program, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                break
            assert service.poll() is None, service.stderr.read() if service.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield number
    finally:
        service.kill()
        service.wait()


def test_faces_are_changed_over_ssh_and_only_by_the_key_that_may(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skimage = pytest.importorskip("skimage")
    sent = cut_faces([FaceInPhoto(skimage.data.astronaut(), FACE, 5)])
    hello = Hello(surrogates=((NAME, read_card(EMBEDDED / NAME).sha256),))
    work = {"attack": "pgd", "parameters": {"steps": 2}, "strength": "balanced"}
    asked = Frame({"change": work}, pack_faces(sent))
    # the program that is named is not run: the key has one command of its own
    address = Address.parse(f"ssh://{getpass.getuser()}@127.0.0.1:{port}/bin/false")
    servers, steps = Servers([address], hello, tmp_path), list[tuple[int, int]]()
    try:
        answer = servers.changed(asked, lambda *step: steps.append(step), 240)
        (patch,) = unpack_patches(answer.frame.content, sent, make_budget("balanced", work["parameters"]))  # type: ignore[arg-type]
        assert np.abs(patch.change).max() > 1
        assert steps[-1] == (2, 2)
    finally:
        servers.close()
    for key, known, reason in (
        ("other", tmp_path / "known_hosts", "Permission denied .*without a passphrase"),
        ("mine", "/dev/null", rf"Host key verification failed.*-p {port} {getpass.getuser()}@127.0.0.1`, once"),
        ("free", tmp_path / "known_hosts", "uncnn-daemon: No such file.*is written behind its name"),
    ):
        monkeypatch.setenv("UNCNN_RSH", f"ssh -F none -i {tmp_path}/{key} -o UserKnownHostsFile={known}")
        missing = Address.parse(f"ssh://{getpass.getuser()}@127.0.0.1:{port}/nonexistent/uncnn-daemon")
        refused = Servers([missing], hello, tmp_path)
        with pytest.raises(ServersUnavailable, match=reason):
            refused.changed(asked, lambda *_step: None, 60)
