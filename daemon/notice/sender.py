"""`uncnn-daemon notify`: sends what needs a person to the addresses in a file of Apprise's, and to nobody else.

It is a process of its own, since the service has no network: it reads numbers from a small file, and no photo.
"""

from __future__ import annotations

import logging
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uncnn.daemon.config import find_config, load
from uncnn.daemon.files.folders import state_dir
from uncnn.daemon.notice.notice import TITLE, notice_file, read_notice
from uncnn.daemon.output import ERROR, OK, print_json
from uncnn.daemon.terminal.results import say_line
from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError
from uncnn.plugins.extras import missing_words

if TYPE_CHECKING:
    from apprise import Apprise

TEST_TITLE = "uncnn: test message"
TEST_WORDS = "uncnn can reach you here when a photo or a folder needs your attention."


class NotifyError(UncnnError):
    """Nothing can be sent: the message says what to set or install."""

    exit_status = 78  # another try does not fix it


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message to one address."""

    address: str  # without its secrets
    arrived: bool
    reason: str  # why it did not


def send_notice(config: Path | None, test: bool, as_json: bool) -> int:
    """Send what is waiting to be sent, or a test; return the exit status: 1 where an address was not reached.

    Raises:
        NotifyError: no addresses are configured, or Apprise is missing. ConfigError: the configuration is wrong.
    """
    addresses = load(find_config(config)).service.apprise
    if addresses is None:
        remedy = (
            "set service.apprise in config.yaml to a file of Apprise addresses, such as ~/.config/uncnn/apprise.yaml"
        )
        raise NotifyError(f"no addresses are configured: {remedy}")
    waiting = notice_file(state_dir())
    notice = None if test else read_notice(waiting)
    if notice is None and not test:
        if as_json:
            print_json({"sent": []})
        else:
            sys.stdout.write("no message is waiting to be sent; --test sends a test message\n")
        return OK
    title, words = (TITLE, notice.words()) if notice is not None else (TEST_TITLE, TEST_WORDS)
    done = send(addresses, title, words)
    if any(each.arrived for each in done) and notice is not None and read_notice(waiting) == notice:
        waiting.unlink(missing_ok=True)
    if as_json:
        rows = [{"address": each.address, "arrived": each.arrived, "reason": each.reason or None} for each in done]
        print_json({"sent": rows})
    else:
        for each in done:
            said = ("sent", "", "green") if each.arrived else ("failed", f": {each.reason}", "red")
            say_line(each.address, *said)
    return OK if all(each.arrived for each in done) else ERROR


def send(addresses: Path, title: str, words: str) -> list[Sent]:
    """Send a message to each address in a file of Apprise's. Raises NotifyError."""
    servers = _servers(addresses)
    done = []
    for server in servers:
        reasons = _Reasons()
        logger = logging.getLogger("apprise")
        logger.addHandler(reasons)
        try:
            arrived = bool(server.notify(body=words, title=title))
        finally:
            logger.removeHandler(reasons)
        done.append(Sent(printable(str(server.url(privacy=True))), arrived, "" if arrived else reasons.last))  # type: ignore[no-untyped-call]
    return done


def _servers(addresses: Path) -> Apprise:
    """Return the addresses of a file. Raises NotifyError."""
    try:
        from apprise import Apprise, AppriseAsset, AppriseConfig, PersistentStoreMode
    except ImportError as error:
        raise NotifyError(f"messages are sent by Apprise: {missing_words(['apprise'])}") from error
    try:
        if stat.S_IMODE(addresses.stat().st_mode) & 0o077:
            name = printable(addresses)
            raise NotifyError(f"{name} contains secrets, and other users can read it: chmod 600 {name}")
        addresses.read_bytes()
    except OSError as error:
        raise NotifyError(
            f"{printable(addresses)} cannot be read: {error.strerror}; put Apprise addresses there"
        ) from (error)
    asset = AppriseAsset(app_id="uncnn", app_desc="uncnn", async_mode=False, storage_mode=PersistentStoreMode.MEMORY)
    known = AppriseConfig(asset=asset)
    known.add(str(addresses))
    servers = Apprise(asset=asset)
    servers.add(known)
    if len(servers) == 0:
        remedy = "write one address per line, such as ntfy://ntfy.example/topic; see Apprise's list of services"
        raise NotifyError(f"{printable(addresses)} contains no address that Apprise knows: {remedy}")
    return servers


class _Reasons(logging.Handler):
    """Keeps the last warning of Apprise's: why an address was not reached."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = "it could not be reached"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said."""
        self.last = printable(record.getMessage())
