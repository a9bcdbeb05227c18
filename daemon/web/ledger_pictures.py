"""Pictures of photos of the ledger: asked for by number, so that no browser says which file is opened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.files.kept import kept_dir, kept_file
from uncnn.daemon.files.publish import snapshot
from uncnn.daemon.jobs.face_decisions import kept_verdict
from uncnn.daemon.ledger.record import Record, record
from uncnn.daemon.ledger.states import State
from uncnn.daemon.text import printable
from uncnn.daemon.web.bodies import Refused
from uncnn.daemon.web.messages import Box
from uncnn.daemon.web.pictures import made_picture, send_picture


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a picture is made of: only if it is the one that the ledger knows."""

    key: str
    name: str
    root: Path
    relative: Path
    sha256: str

    def put(self, target: Path) -> None:
        """Copy it. Raises Refused: it is another file by now. PublishError: it cannot be read."""
        taken = snapshot(self.root, self.relative, target.parent)
        taken.path.rename(target)
        if taken.sha256 != self.sha256:
            raise Refused(409, "other")


async def show_ledger_photo(request: Request) -> Response:
    """Answer with a picture of a photo or of its copy. Raises Refused: there is none."""
    source = await asyncio.to_thread(_source, request)
    return await send_picture(request, source.key, source.name, source.put)


async def show_face(request: Request) -> Response:
    """Answer with a picture of a face of a photo, by its number in the verdict. Raises Refused: there is none."""
    number, face = request.path_params["number"], request.path_params["face"]
    source, box = await asyncio.to_thread(_face_of, number, face)
    key = f"{source.key}-{'-'.join(map(str, map(round, box)))}"
    picture = await made_picture(request, key, "small", source.name, source.put, box)
    return FileResponse(picture.file, media_type="image/jpeg")


async def send_size(request: Request) -> Response:
    """Answer with the size of a photo or of its copy, in which the boxes of its faces are. Raises Refused."""
    source = await asyncio.to_thread(_source, request)
    picture = await made_picture(request, source.key, "small", source.name, source.put)
    width, height = picture.photo_size
    return JSONResponse({"width": width, "height": height})


def _face_of(number: int, face: int) -> tuple[Source, Box]:
    """Return the original of a photo, and the box of one of its faces. Raises Refused, LedgerError, FolderError."""
    source, kept = _source_of(number, "original"), kept_verdict(number)
    faces = kept.verdict.faces if kept is not None else ()
    if not 1 <= face <= len(faces):
        raise Refused(404, "path")
    return source, faces[face - 1].face.box


def _source(request: Request) -> Source:
    """Return what a request asks for a picture of. Raises Refused, LedgerError, FolderError."""
    return _source_of(request.path_params["number"], request.path_params["which"])


def _source_of(number: int, which: str) -> Source:
    known = record(ledger_file(), number)
    if known is None or which not in {"original", "cloaked"}:
        raise Refused(404, "path")
    root, relative, sha256 = _original(known) if which == "original" else _cloaked(known)
    name = printable(known.job.relative.name)
    return Source(f"n{number}-{which}-{sha256[:16]}", name, root, relative, sha256)


def _original(known: Record) -> tuple[Path, Path, str]:
    return known.watch, known.job.relative, known.job.sha256


def _cloaked(known: Record) -> tuple[Path, Path, str]:
    """Return where the copy lies that a person would publish, or that was. Raises Refused: there is none."""
    job = known.job
    if job.released_sha256 is not None and job.state is State.PUBLISHED and job.published is not None:
        return known.publish, job.published, job.released_sha256
    kept = kept_file(job.kept) if job.state is State.HELD else None
    if kept is None or job.released_sha256 is None:
        raise Refused(404, "path")
    return kept_dir(), Path(kept.name), job.released_sha256
