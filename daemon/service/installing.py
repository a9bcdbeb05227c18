"""`service install|uninstall|show`: puts the units where systemd finds them, and tells it."""

from __future__ import annotations

import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.config import find_config, load
from uncnn.daemon.files.folders import usual_folder
from uncnn.daemon.notice.notice import notice_file
from uncnn.daemon.output import OK
from uncnn.daemon.service import audit_units, notify_units, units, web_units
from uncnn.daemon.service.units import UnitError
from uncnn.daemon.text import printable, system_words

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
SYSTEM_CONFIGURATION: Final = Path("/etc/uncnn")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which service: a user's own (`name` is empty), or the system's for the user `name`."""

    name: str
    gpu: bool = False
    root: Path = Path("/")  # of the system's files
    web_port: int | None = None  # where the page is served; None: there is none

    @property
    def unit(self) -> str:
        """Return what systemctl calls it."""
        return f"uncnn@{self.name}.service" if self.name else "uncnn.service"

    @property
    def audit(self) -> str:
        """Return what systemctl calls its monthly audit, but for the kind of the unit."""
        return f"uncnn-audit@{self.name}" if self.name else "uncnn-audit"

    @property
    def notify(self) -> str:
        """Return what systemctl calls its sender of messages, but for the kind of the unit."""
        return f"uncnn-notify@{self.name}" if self.name else "uncnn-notify"

    @property
    def web(self) -> str:
        """Return what systemctl calls its page, but for the kind of the unit."""
        return f"uncnn-web@{self.name}" if self.name else "uncnn-web"

    @property
    def configuration(self) -> Path | None:
        """Return the configuration that it goes by; None: the user's usual one."""
        return self._below(SYSTEM_CONFIGURATION) / self.name / "config.yaml" if self.name else None

    @property
    def folder(self) -> Path:
        """Return where its units lie."""
        own = usual_folder("config", "systemd") / "user"
        return self._below(SYSTEM_UNITS) if self.name else own

    def systemctl(self, *arguments: str) -> list[str]:
        """Return a command for its manager."""
        return ["systemctl", *([] if self.name else ["--user"]), *arguments]

    def _below(self, path: Path) -> Path:
        return self.root / path.relative_to("/")


def files_of(wanted: Wanted) -> dict[Path, str]:
    """Return the files of a service, and what is in them.

    Raises:
        UnitError: there is no such user, or a folder that systemd cannot be told of. ConfigError: its configuration is
        missing or wrong.
    """
    program = _program()
    if not wanted.name:
        servers = load(find_config(None)).servers
        namespaces = units.gives_namespaces()
        unit = units.user_unit(program, namespaces)
        state = usual_folder("state")
        files = {
            wanted.folder / wanted.unit: unit,
            wanted.folder / "uncnn-audit.service": audit_units.audit_user_unit(program, unit),
            wanted.folder / "uncnn-audit.timer": audit_units.audit_timer(),
            wanted.folder / "uncnn-notify.service": notify_units.notify_user_unit(program, unit),
            wanted.folder / "uncnn-notify.path": notify_units.notify_user_path(notice_file(state)),
        }
        if wanted.web_port is not None:
            files[wanted.folder / "uncnn-web.service"] = web_units.web_user_unit(program, unit)
            files[wanted.folder / "uncnn-web.socket"] = web_units.web_socket(wanted.web_port)
        return files | _reaching(wanted, units.servers_conf(servers, None, namespaces) if servers else None)
    try:
        home = Path(pwd.getpwnam(wanted.name).pw_dir)
    except KeyError as error:
        raise UnitError(f"there is no user {wanted.name!r}: name the one whose photos are watched") from error
    config = load(find_config(wanted.configuration))
    software = _software()
    folders = units.folders_conf(config.folders, software)
    files = {
        wanted.folder / "uncnn@.service": units.system_unit(program),
        wanted.folder / f"{wanted.unit}.d" / "folders.conf": folders,
        wanted.folder / "uncnn-audit@.service": audit_units.audit_system_unit(program),
        wanted.folder / "uncnn-audit@.timer": audit_units.audit_timer(),
        wanted.folder / f"{wanted.audit}.service.d" / "folders.conf": audit_units.read_only(folders),
        wanted.folder / "uncnn-notify@.service": notify_units.notify_system_unit(program),
        wanted.folder / "uncnn-notify@.path": notify_units.notify_system_path(),
        wanted.folder / f"{wanted.notify}.service.d" / "folders.conf": units.folders_conf((), software),
    }
    if wanted.gpu:
        files[wanted.folder / f"{wanted.unit}.d" / "gpu.conf"] = units.GPU
    if wanted.web_port is not None:
        files[wanted.folder / "uncnn-web@.service"] = web_units.web_system_unit(program)
        files[wanted.folder / f"{wanted.web}.service.d" / "folders.conf"] = folders
        files[wanted.folder / f"{wanted.web}.socket"] = web_units.web_socket(wanted.web_port)  # each user has a port
    return files | _reaching(wanted, units.servers_conf(config.servers, home) if config.servers else None)


def _reaching(wanted: Wanted, drop_in: str | None) -> dict[Path, str]:
    """Return the drop-ins of the units that have faces changed by servers: the service, and the page where it is."""
    if drop_in is None:
        return {}
    service, page = _of_servers(wanted)
    has_page = wanted.web_port is not None or (wanted.folder / f"{wanted.web}.socket").exists()
    return dict.fromkeys([service, *([page] if has_page else [])], drop_in)


def _of_servers(wanted: Wanted) -> list[Path]:
    """Return where the drop-ins of the service and of the page are that let them reach servers."""
    return [wanted.folder / f"{unit}.d" / "servers.conf" for unit in (wanted.unit, f"{wanted.web}.service")]


def show(wanted: Wanted) -> int:
    """Print what would be installed, and return the exit status. Raises UnitError, ConfigError."""
    for file, text in files_of(wanted).items():
        sys.stdout.write(f"# {printable(file)}\n{text}\n")
    return OK


def install(wanted: Wanted, start: bool) -> int:
    """Write the units, tell systemd, start the service and the audit's timer where asked; return the exit status.

    Raises UnitError, ConfigError.
    """
    files = files_of(wanted)
    if wanted.name and start:
        _check_folders(wanted)
    for file, text in files.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        except OSError as error:
            raise UnitError(f"{printable(file)} cannot be written: {system_words(error)[1]}") from error
        sys.stdout.write(f"wrote {printable(file)}\n")
    _remove(file for file in _of_servers(wanted) if file not in files)  # the configuration names none any more
    commands = [wanted.systemctl("daemon-reload")]
    if start:
        commands += [wanted.systemctl("enable", wanted.unit), wanted.systemctl("restart", wanted.unit)]
        commands += [wanted.systemctl("enable", "--now", f"{wanted.audit}.timer", f"{wanted.notify}.path")]
        if wanted.web_port is not None:
            commands += [wanted.systemctl("enable", f"{wanted.web}.socket")]
            commands += [wanted.systemctl("stop", f"{wanted.web}.service")]  # one of before, of another port
            commands += [wanted.systemctl("restart", f"{wanted.web}.socket")]
    return _run(commands)


def uninstall(wanted: Wanted) -> int:
    """Stop the service, remove its units and return the exit status; photos, state and configuration stay.

    Raises UnitError.
    """
    commands = [wanted.systemctl("disable", "--now", wanted.unit)]
    if (wanted.folder / _template(wanted, "uncnn-audit", "timer")).exists():  # an older uncnn installed none
        timer, audit = f"{wanted.audit}.timer", f"{wanted.audit}.service"
        commands += [wanted.systemctl("disable", "--now", timer), wanted.systemctl("stop", audit)]
    if (wanted.folder / _template(wanted, "uncnn-notify", "path")).exists():
        commands += [wanted.systemctl("disable", "--now", f"{wanted.notify}.path")]
    if (wanted.folder / f"{wanted.web}.socket").exists():
        commands += [wanted.systemctl("disable", "--now", f"{wanted.web}.socket")]
        commands += [wanted.systemctl("stop", f"{wanted.web}.service")]
    status = _run(commands)
    _remove(_installed(wanted))
    try:
        for own in (
            f"{wanted.unit}.d",
            f"{wanted.audit}.service.d",
            f"{wanted.notify}.service.d",
            f"{wanted.web}.service.d",
        ):
            folder = wanted.folder / own
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise UnitError(f"{wanted.unit} cannot be removed: {system_words(error)[1]}") from error
    return status or _run([wanted.systemctl("daemon-reload")])


def _installed(wanted: Wanted) -> list[Path]:
    """Return the files that go with a service; those that the services of other users need stay."""
    own = [f"{wanted.unit}.d/folders.conf", f"{wanted.unit}.d/gpu.conf"]
    own += [f"{each}.service.d/folders.conf" for each in (wanted.audit, wanted.notify, wanted.web)]
    own += [f"{wanted.web}.socket"]
    shared = [("uncnn", "service"), ("uncnn-audit", "service"), ("uncnn-audit", "timer")]
    shared += [("uncnn-notify", "service"), ("uncnn-notify", "path"), ("uncnn-web", "service")]
    others = [path for path in wanted.folder.glob("uncnn@*.service.d") if path.name != f"{wanted.unit}.d"]
    names = own if wanted.name else ["uncnn-web.socket"]
    names += [] if wanted.name and others else [_template(wanted, *each) for each in shared]
    return [*(wanted.folder / name for name in names), *_of_servers(wanted)]


def _remove(files: Iterable[Path]) -> None:
    """Remove those of these files that are there. Raises UnitError."""
    for file in files:
        if file.exists():
            try:
                file.unlink()
            except OSError as error:
                raise UnitError(f"{printable(file)} cannot be removed: {system_words(error)[1]}") from error
            sys.stdout.write(f"removed {printable(file)}\n")


def _template(wanted: Wanted, name: str, kind: str) -> str:
    """Return the name of a unit's file: the system's are for all users of the machine."""
    return f"{name}@.{kind}" if wanted.name else f"{name}.{kind}"


def _check_folders(wanted: Wanted) -> None:
    """Refuse folders that are not there, which the unit could not bind; say so where its user cannot see its status."""
    for folder in load(find_config(wanted.configuration)).folders:
        for path in (folder.watch, folder.publish):
            if not path.is_dir():
                remedy = f"sudo -u {wanted.name} mkdir -p {shlex.quote(str(path))}"
                raise UnitError(
                    f"{printable(path)} is not a folder, so the service cannot be given access to it: {remedy}"
                )
    program = _program()
    may_run = ["runuser", "-u", wanted.name, "--", str(program), "--help"]
    if shutil.which("runuser") and subprocess.run(may_run, check=False, capture_output=True).returncode:
        who = f"{wanted.name} may not run {printable(program)}"
        sys.stdout.write(f"{who}, so not ask for its status: put uncnn where all may read it\n")


def _program() -> Path:
    return Path(sys.argv[0]).resolve().with_name("uncnn-daemon")


def _software() -> list[Path]:
    """Return the folders that uncnn runs from: of its environment, of Python, and of itself, where that is a clone."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(units.__file__).parents[2]}
    return sorted(path for path in found if not any(path != other and path.is_relative_to(other) for other in found))


def _run(commands: list[list[str]]) -> int:
    """Run commands of systemctl until one fails; where systemd is not at work here, say what to run."""
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        said = "\n".join(f"  {' '.join(command)}" for command in commands)
        sys.stdout.write(f"systemd is not running here; where it runs, use:\n{said}\n")
        return OK
    for command in commands:
        status = subprocess.run(command, check=False).returncode
        if status != 0:
            raise UnitError(f"{' '.join(command)} failed with exit status {status}: see journalctl -xe")
    return OK
