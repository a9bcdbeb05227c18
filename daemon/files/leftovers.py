"""What killed runs left in a publish folder: temporary files, and names that were claimed and not filled."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from uncnn.daemon.files.claim import NOTE, TEMPORARY, is_part, note_of
from uncnn.daemon.files.opening import PublishError, open_file, opened_below, opened_folder, safe_parts, sync_folder

_NOTE_BYTES: Final = 4096


def sweep(folder: Path) -> list[Path]:
    """Remove what killed runs left in a publish folder, and return it: temporary files, and names that were claimed.

    Raises PublishError where the folder cannot be read.
    """
    removed: list[Path] = []
    try:
        with opened_folder(folder, ()) as top:
            names = sorted(os.listdir(top))  # noqa: PTH208 (by descriptor)
            claimed = [_undo_claim(top, folder, name) for name in names if NOTE.fullmatch(name)]
            removed += [folder / relative for relative in claimed if relative is not None]
            removed += [folder / name for name in names if TEMPORARY.fullmatch(name) and _remove_abandoned(top, name)]
    except OSError as error:
        raise PublishError.of(error, folder, "read") from error
    return removed


def _remove_abandoned(top: int, name: str) -> bool:
    """Remove a temporary file that nobody holds the lock of; return whether it was."""
    opened = open_file(top, name)
    if opened is None:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_noted(top, name):
            return False
        os.unlink(name, dir_fd=top)
    except OSError:  # its writer is alive, or the file system knows no locks
        return False
    finally:
        os.close(opened)
    return True


def _is_noted(top: int, temporary: str) -> bool:
    """Return whether a temporary file has a note whose writer is alive: its own lock ended when it was closed."""
    opened = open_file(top, note_of(temporary))
    if opened is None:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(opened)
    return False


def _undo_claim(top: int, folder: Path, note: str) -> Path | None:
    """Remove what a killed run left under the name in a note, and the note; return the name, below the folder.

    None: the note's writer is alive, or the whole file stands there, or another's.
    """
    opened = open_file(top, note)
    if opened is None:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        relative = _claimed(opened)
        undone = relative is not None and _undo(top, folder, note, relative, os.fstat(opened).st_uid)
        os.unlink(note, dir_fd=top)
    except OSError:  # its writer is alive, or the file system knows no locks
        return None
    finally:
        os.close(opened)
    return relative if undone else None


def _claimed(note: int) -> Path | None:
    """Return the path in an open note, or None where it is none below the folder: a power failure left a part."""
    try:
        relative = Path(os.fsdecode(os.read(note, _NOTE_BYTES)))
        safe_parts(relative)
    except (PublishError, ValueError):
        return None
    return relative


def _undo(top: int, folder: Path, note: str, relative: Path, owner: int) -> bool:
    """Remove the file of a claimed name where it is a part of the temporary one; return whether it was.

    All have to be one user's: whoever may write here could else let a file of ours be removed by a note of theirs.
    """
    parts = safe_parts(relative)
    temporary = note.removesuffix(".claim") + ".part"
    try:
        with opened_below(top, folder, parts[:-1]) as target:
            owners = {
                os.stat(name, dir_fd=where, follow_symlinks=False).st_uid
                for where, name in ((target, parts[-1]), (top, temporary))
                if where is target or _is_there(top, temporary)
            }
            if owners == {owner} and is_part(top, temporary, target, parts[-1]):
                os.unlink(parts[-1], dir_fd=target)
                sync_folder(target)
                return True
    except (OSError, PublishError):
        pass
    return False


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
