"""The service as a process of its own, with processes without networks: `python stub_service.py CONFIG`.

`$STUB_KILL`, as `uncnn.daemon.jobs.release:publish after`, kills it there, once: `$STUB_KILLED` is the
file that says so.
`$STUB_FAIL`, as `uncnn.daemon.files.publish:_link 16`, lets it fail there by that errno while `$STUB_FAILING` is there.
`$STUB_NO_VIDEO`: the extra `video` is not installed.
`$STUB_CLOCK` sets its clock, in seconds ahead, once `$STUB_CLOCK_SET` is there.
"""

import importlib
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def kill_at(source: str, when: str, killed: Path) -> None:
    """Let the process be killed before or after a function, the first time that one is called."""
    module, _, name = source.partition(":")
    owner = importlib.import_module(module)
    *parents, name = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)

    def stopped(*arguments, **named):
        answer = None if when == "before" else real(*arguments, **named)
        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named) if when == "before" else answer

    setattr(owner, name, stopped)


def fail_at(source: str, number: str, failing: Path) -> None:
    """Let a function raise an OSError as long as a file is there."""
    module, _, name = source.partition(":")
    owner = importlib.import_module(module)
    real = getattr(owner, name)

    def failed(*arguments, **named):
        if failing.exists():
            raise OSError(int(number), os.strerror(int(number)))
        return real(*arguments, **named)

    setattr(owner, name, failed)


def set_clock(ahead: float, when: Path) -> None:
    """Let the ledger's clock go so far ahead from the moment on that a file is there."""
    from uncnn.daemon.ledger import jobs, rows, runs

    real = rows.utc_now

    def now():
        return real() + timedelta(seconds=ahead if when.exists() else 0)

    for module in (jobs, rows, runs):
        module.utc_now = now


if __name__ == "__main__":
    from uncnn.daemon.service.wakeup import catch_early

    catch_early()

    import stub_clips
    import stub_engine

    from uncnn.daemon.service import loop, worker_thread
    from uncnn.daemon.video import protector
    from uncnn.plugins.api import UncnnError

    loop.STOP_SECONDS = 120.0  # a machine that does much else
    worker_thread.engine_for = stub_engine.stub_for
    protector.VideoEngine = stub_clips.StubVideoEngine
    if "STUB_NO_VIDEO" in os.environ:
        from uncnn.plugins import extras

        extras.find_spec = lambda _name: None
    if "STUB_KILL" in os.environ:
        kill_at(*os.environ["STUB_KILL"].split(), Path(os.environ["STUB_KILLED"]))
    if "STUB_FAIL" in os.environ:
        fail_at(*os.environ["STUB_FAIL"].split(), Path(os.environ["STUB_FAILING"]))
    if "STUB_CLOCK" in os.environ:
        set_clock(float(os.environ["STUB_CLOCK"]), Path(os.environ["STUB_CLOCK_SET"]))
    try:
        sys.exit(loop.run_service(Path(sys.argv[1])))
    except UncnnError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(getattr(error, "exit_status", 1))
