"""What `uncnn-daemon inspect` does: the photo is looked at in a process of its own; what came of it is printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, get_args

from uncnn.daemon.commands.config_check import watched_policy
from uncnn.daemon.config import Config, Policy
from uncnn.daemon.config.policies import Metadata
from uncnn.daemon.files.folders import data_dir, named
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.files.workspace import sweep_workspaces, workspace
from uncnn.daemon.inspection.messages import FACES, FindFaces, ReadPhoto
from uncnn.daemon.inspection.report import show
from uncnn.daemon.output import OK, print_json
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.process_engine import PREPARE_SECONDS, models_found
from uncnn.daemon.protect.processes import Child, stopped_by_sigterm
from uncnn.daemon.protect.wire import Handlers, Stage
from uncnn.daemon.sandbox.rules import sandbox_for
from uncnn.daemon.settings import SettingsError, configuration, named_policy, taken, usual_policy
from uncnn.daemon.terminal.progress import progress_bar
from uncnn.daemon.text import printable
from uncnn.exporters.registry.detectors import ChosenDetector, chosen_detector
from uncnn.exporters.registry.store import detector_files, models_dir, search_path

_POLICIES: Final = get_args(Metadata)


@dataclass(frozen=True, slots=True)
class InspectOptions:
    """How a photo is inspected."""

    policy: Policy
    origin: str  # where the policy is from, in words
    device: str
    detector: str
    faces: bool = True
    picture: Path | None = None  # where the photo with its faces drawn in goes


def inspect_options(
    config: Path | None,
    photo: Path,
    policy: str | None,
    metadata: str | None,
    device: str | None,
    faces: bool,
    picture: Path | None,
) -> InspectOptions:
    """Return how `photo` is inspected: under the named policy, that of its watched folder, or else the usual one.

    Raises:
        ConfigError: the configuration is wrong, or a named one is missing. SettingsError: an option is.
    """
    found = configuration(config)
    chosen, origin = _policy(found, photo, policy)
    if metadata is not None:
        if metadata not in _POLICIES:
            raise SettingsError(f"--metadata {metadata!r}: give {', '.join(_POLICIES[:-1])} or {_POLICIES[-1]}")
        chosen = chosen.model_copy(update={"metadata": metadata})
    if picture is not None:
        _check_picture(picture, photo, faces)
    return InspectOptions(chosen, origin, device or found.device, found.models.detector, faces, picture)


def _policy(config: Config, photo: Path, name: str | None) -> tuple[Policy, str]:
    """Return the policy that a photo is looked at under, and where it is from."""
    if name is not None:
        return named_policy(config, name), f"policy {name}"
    watched = watched_policy(config, named(photo))
    if watched is not None:
        return watched[1], f"policy {watched[0].policy}, of its watched folder"
    usual = usual_policy(config)
    return named_policy(config, usual), "the default policy" if usual is None else f"policy {usual}"


def _check_picture(picture: Path, photo: Path, faces: bool) -> None:
    if not faces:
        raise SettingsError(f"--output {printable(picture)} shows the faces: leave out --no-faces")
    if picture.suffix.lower() != ".png":
        raise SettingsError(f"--output {printable(picture)}: name a file that ends in .png")
    if picture.exists() and photo.exists() and picture.samefile(photo):
        raise SettingsError(f"--output {printable(picture)} is the photo: name another file")


def inspect_photo(options: InspectOptions, photo: Path, every: bool, as_json: bool) -> int:
    """Print what a photo is, which faces it shows and what its file says, and return the exit status.

    Raises:
        PublishError: a file cannot be read or written. RequestError: it is no photo that can be taken. ProcessDied.
    """
    answer = _looked_at(options, photo, as_json)
    policy: dict[str, Any] = {
        "origin": options.origin,
        "metadata": options.policy.metadata,
        "smallest_px": options.policy.faces.smallest_px,
        "rotated": options.policy.faces.rotated,
        "uncertain": options.policy.uncertain,
        "who": options.policy.faces.who,
    }
    written = None if options.picture is None else str(options.picture)
    whole = {"file": str(photo), "policy": policy, **answer, "written": written}
    if as_json:
        print_json(whole)
    else:
        show(whole, every)
    return OK


def _looked_at(options: InspectOptions, photo: Path, quiet: bool) -> dict[str, Any]:
    """Return what the process that looks at the photo says of it."""
    sweep_workspaces()
    with progress_bar(1, quiet) as bar, stopped_by_sigterm(), workspace() as spool:
        bar.begin(printable(photo))
        copy = taken(photo, spool)
        bar.report(Stage("reading"))
        models_dir(data_dir()).mkdir(parents=True, exist_ok=True)  # what may be exported into it later is to be read
        sandbox = sandbox_for(spool, search_path(data_dir()), options.device)
        inspector = Child("inspector", _make_inspector, sandbox, ["uncnn.daemon.inspection.process"])
        try:
            content = Content(copy.path)
            read = inspector.call(ReadPhoto(content, photo.name, options.policy.metadata), PREPARE_SECONDS)
            if not options.faces:
                return {**asdict(read), "faces": None}
            bar.report(Stage("finding faces"))
            found = inspector.call(_find_faces(options, content), PREPARE_SECONDS)
        finally:
            inspector.close()
        if options.picture is not None and found.picture is not None:
            try:
                options.picture.write_bytes(content.check_beside(FACES, found.picture).read())
            except OSError as error:
                raise PublishError.of(error, options.picture, "written") from error
        return {**asdict(read), "faces": found.faces}


def _find_faces(options: InspectOptions, photo: Content) -> FindFaces:
    faces = options.policy.faces
    return FindFaces(
        _detector(options.detector),
        options.device,
        faces.smallest_px,
        faces.rotated,
        options.policy.uncertain,
        photo if options.picture is not None else None,
    )


def _detector(name: str) -> ChosenDetector:
    """Return the detector, converted first where needed: what looks at the photo writes no model."""
    return models_found(lambda convert: chosen_detector(name, detector_files(data_dir(), convert)))


def _make_inspector() -> Handlers:
    from uncnn.daemon.inspection.process import make_inspector  # image libraries: only in the spawned process

    return make_inspector()
