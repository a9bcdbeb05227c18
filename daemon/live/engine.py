"""The sandboxed process that is live, from the side of the command: what it may open, and how it is told to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from uncnn.daemon.files.draft import Draft, named_draft
from uncnn.daemon.files.opening import opened_folder
from uncnn.daemon.live.errors import LiveError
from uncnn.daemon.live.handing import HandedOver
from uncnn.daemon.live.messages import GoLive, LiveEnded, Masked
from uncnn.daemon.live.v4l2 import is_device, opened_device
from uncnn.daemon.protect.messages import Ready
from uncnn.daemon.protect.process_engine import LOADING, PREPARE_SECONDS
from uncnn.daemon.protect.processes import Child, ProcessDied
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.daemon.text import printable, system_words
from uncnn.exporters.registry.store import Roster

LONGEST_SECONDS: Final = 24 * 86400.0
"""The longest that is waited for: as long as poll(2) can."""

_UMASK_OF_FILES: Final = 0o666
_MODULES: Final = (["uncnn.daemon.live.worker"], ["uncnn.daemon.live.worker", "uncnn.daemon.live.masking"])


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """From where to where."""

    source: Path
    to: Path
    real_time: bool  # a file is played as fast as it is shown
    masked: tuple[Masked, ...] = ()  # whoever else is shown is hidden


def check(order: LiveOrder) -> None:
    """Say what is wrong before any model is loaded. Raises LiveError."""
    source, to = printable(order.source), printable(order.to)
    if is_device(order.source):
        os.close(opened_device(order.source, output=False))
        if os.path.realpath(order.source) == os.path.realpath(order.to):
            raise LiveError("device", f"{source} is the camera itself: name another device, or a file")
    elif not order.source.is_file():
        remedy = "name a camera (`ls /dev/video*`) or a video file"
        raise LiveError("source", f"{source}: there is no such file or camera; {remedy}")
    if is_device(order.to):
        os.close(opened_device(order.to, output=True))
    elif order.to.suffix.lower() != ".mp4":
        raise LiveError("sink", f"{to}: name a file that ends in .mp4, or a device such as /dev/video10")
    elif order.to.exists():
        raise LiveError("sink", f"{to} is there already: name another file, or remove it")


def run(order: LiveOrder, roster: Roster, device: str, folder: Path, report: Report) -> LiveEnded:
    """Send what the source shows on until it ends, or until Ctrl-C or SIGTERM; a file has its name afterwards.

    `folder` is a private one, the only one that the process may write in.

    Raises:
        LiveError: the source or the sink cannot be used. RequestError, ProcessDied: the process says so, or ended.
        PublishError, OSError: the file cannot be written.
    """
    if is_device(order.to):
        sink = opened_device(order.to, output=True)
        try:
            return _live(order, roster, device, folder, report, sink)
        finally:
            os.close(sink)
    try:
        with opened_folder(order.to.parent.resolve(), ()) as top, named_draft(top) as draft:
            try:
                ended = _live(order, roster, device, folder, report, draft.writer)
            except ProcessDied:
                if os.fstat(draft.writer).st_size:  # what it wrote until then can be played
                    _give_name(draft, top, order.to.name)
                raise
            if ended.frames:
                _give_name(draft, top, order.to.name)
            return ended
    except FileExistsError as error:
        raise LiveError("sink", f"{printable(order.to)} has come to be there meanwhile: it was kept") from error
    except OSError as error:
        raise LiveError("sink", f"{printable(order.to)} cannot be written: {system_words(error)[1]}") from error


def _give_name(draft: Draft, top: int, name: str) -> None:
    """Give a file the name that a person asked for. Raises FileExistsError, OSError, PublishError."""
    os.fchmod(draft.writer, _UMASK_OF_FILES & ~_umask())
    os.fsync(draft.writer)
    draft.link(top, name)


def _live(order: LiveOrder, roster: Roster, device: str, folder: Path, report: Report, sink: int) -> LiveEnded:
    """Start the process and wait for its end."""
    source, is_camera = order.source.resolve(), is_device(order.source)
    with ExitStack() as stack:
        told, tell = os.pipe()
        stack.callback(os.close, told)
        stack.callback(os.close, tell)
        files = (HandedOver(sink), is_device(order.to), HandedOver(told))
        sandbox = sandbox_for(
            folder, [*roster.files(), *(each.file for each in order.masked), *([] if is_camera else [source])], device
        )
        if is_camera:
            sandbox = replace(sandbox, devices=(*sandbox.devices, source))
        make = partial(_make_worker, roster, device, *files, order.masked)
        with _telling(tell):
            child = Child("live process", make, sandbox, _MODULES[bool(order.masked)])
            stack.callback(child.close)
            report(Stage(LOADING))
            child.call(Ready(), PREPARE_SECONDS)
            paced = order.real_time or is_device(order.to)
            asked = GoLive(source, printable(order.source), is_camera, paced)
            return child.call(asked, LONGEST_SECONDS, report)


@contextmanager
def _telling(tell: int) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM say that the process is to end by itself; a second one is as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        with suppress(OSError):
            os.write(tell, b".")

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.getsignal(number)
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _umask() -> int:
    own = os.umask(0o077)
    os.umask(own)
    return own


def _make_worker(
    roster: Roster,
    device: str,
    sink: HandedOver,
    sink_is_device: bool,
    stop: HandedOver,
    masked: Sequence[Masked],
) -> Handlers:
    from uncnn.daemon.live.worker import Ends, make_live_worker  # FFmpeg and ONNX Runtime: only in the spawned process

    return make_live_worker(roster, device, Ends(sink, sink_is_device, stop), masked)
