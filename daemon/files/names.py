"""What the name of a file or folder says: a photo, or something that is never taken, and why.

Names are compared without case. What another program deleted, hid or has not finished is not the user's to publish; nor
are its thumbnails, which show the same faces once more.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from uncnn.daemon.files.formats import FORMATS


class Reason(StrEnum):
    """Why something in a watched folder is not taken."""

    HIDDEN = "hidden"
    UNFINISHED = "unfinished"
    DELETED = "deleted"
    OLDER = "older"
    PREVIEW = "preview"
    FOREIGN = "foreign"
    LINK = "link"
    UNSUPPORTED = "unsupported"
    VIDEO = "video"
    EMPTY = "empty"
    OTHER = "other"

    @property
    def words(self) -> str:
        """Return the reason in words that follow `it is`."""
        return _WORDS[self]

    def counted(self, number: int) -> str:
        """Return how many there are, in words."""
        return f"{number} {_WORDS[self].removeprefix('a ') if number == 1 else _MANY.get(self, _WORDS[self])}"


_WORDS: Final[dict[Reason, str]] = {
    Reason.HIDDEN: "hidden",
    Reason.UNFINISHED: "unfinished, or a backup by another program",
    Reason.DELETED: "in a recycle bin",
    Reason.OLDER: "a snapshot or an older version",
    Reason.PREVIEW: "a preview by a photo program",
    Reason.FOREIGN: "a file of another program",
    Reason.LINK: "a symbolic link",
    Reason.UNSUPPORTED: "a picture in an unsupported format",
    Reason.VIDEO: "a video that is not cloaked",
    Reason.EMPTY: "empty",
    Reason.OTHER: "not a photo",
}

_MANY: Final[dict[Reason, str]] = {
    Reason.OLDER: "snapshots or older versions",
    Reason.PREVIEW: "previews by a photo program",
    Reason.FOREIGN: "files of another program",
    Reason.LINK: "symbolic links",
    Reason.UNSUPPORTED: "pictures in an unsupported format",
    Reason.VIDEO: "videos that are not cloaked",
    Reason.OTHER: "not photos",
}

NAME_BYTES: Final = 255
"""The longest name that file systems commonly take."""

LEAST_BYTES: Final = 143
"""The longest that eCryptfs takes; encfs says that it takes more than it does."""


def fitted(stem: str, ending: str, longest: int = NAME_BYTES) -> str:
    """Return `stem` + `ending`, the stem shortened where that is longer than so many bytes."""
    while stem and len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return stem + ending


def longest_name(folder: Path) -> int:
    """Return how many bytes a name may have in a folder; 255 where it does not say or allows more."""
    try:
        longest = os.statvfs(folder).f_namemax
    except OSError:
        return NAME_BYTES
    return min(longest, NAME_BYTES) if longest > 0 else NAME_BYTES


def numbered(name: str, number: int, longest: int = NAME_BYTES) -> str:
    """Return `stem (number).ext`, the name where that of `stem.ext` is taken; a long stem is shortened to fit."""
    path = Path(name)
    return fitted(path.stem, f" ({number}){path.suffix}" if number > 1 else path.suffix, longest)


def ignored_words(counts: Mapping[Reason, int]) -> str:
    """Return how many files and folders are not taken, by their reasons, "" where there are none."""
    return ", ".join(reason.counted(counts[reason]) for reason in Reason if counts.get(reason))


_PHOTO: Final = "|".join(ending for each in FORMATS for ending in each.endings.split())
# RAW files are refused with a reason when they are opened: silence would look like protection.
_RAW: Final = "3fr|arw|cr[23w]|dng|erf|fff|iiq|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|raw|rw[2l]|sr[2fw]|x3f"
_PHOTO_NAME: Final = re.compile(rf".+\.({_PHOTO}|{_RAW})", re.IGNORECASE | re.DOTALL)
_BESIDE_PHOTO: Final = re.compile(rf".+\.({_PHOTO}|{_RAW})[._~-].*", re.IGNORECASE | re.DOTALL)

VIDEO_ENDINGS: Final = ("mp4", "m4v", "mov", "mkv", "webm")
"""Of the names of videos that can be cloaked."""

_VIDEO_NAME: Final = re.compile(rf".+\.({'|'.join(VIDEO_ENDINGS)})", re.IGNORECASE | re.DOTALL)
_OTHER_VIDEO_NAME: Final = re.compile(
    r".+\.(avi|mts|m2ts?|3gp|3g2|mpe?g|mpe|wmv|flv|insv|lrv|vob|ogv)", re.IGNORECASE | re.DOTALL
)

_OTHER_KINDS: Final = (
    "xmp aae thm dop pp3 cos cof cop nksc dxo on1 mie arp exv ctx rpp vrd"  # sidecars
    " mp3 wav m4a flac ogg aac opus wma aif aiff mid amr"
    " txt md rtf pdf docx? odt xlsx? ods pptx? odp csv tsv epub html? xml json ya?ml toml log ini cfg conf srt vtt"
    " gpx kml zip rar 7z gz bz2 xz zst tar tgz iso dmg img jar apk exe dll msi deb rpm so dylib bin dat"
    " db sqlite3? db-(wal|shm|journal) lrcat lrprev lnk url webloc desktop torrent aria2"
    " py js ts css c h sh bat ps1 ttf otf woff2? svgz? eps ai"
).replace(" ", "|")
_OTHER_NAME: Final = re.compile(rf".+\.({_OTHER_KINDS})", re.IGNORECASE | re.DOTALL)


def _matcher(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)), re.IGNORECASE)


_IGNORED: Final[tuple[tuple[Reason, re.Pattern[str]], ...]] = (
    (
        Reason.DELETED,
        _matcher(
            *("#recycle", "@recycle", "$recycle.bin", "recycler", "recycled", "recycle bin", "recycle_bin", "trashbox"),
            *("network recycle bin", "network trash folder", "trash", "trash can", ".trash*", ".recycle*", ".dtrash"),
            *("recently deleted", "deleted items", "_deleted_", ".deleted*", "files_trashbin", "papierkorb"),
            *("corbeille", "papelera", "papelera de reciclaje", "cestino", "lixeira", "prullenbak", "kosz"),
            *("lost+found", "found.[0-9][0-9][0-9]", "*.chk", "dfsrprivate", "*.trashinfo"),
            *(
                "$[ri][0-9a-z][0-9a-z][0-9a-z][0-9a-z][0-9a-z][0-9a-z]",
                "$[ri][0-9a-z][0-9a-z][0-9a-z][0-9a-z][0-9a-z][0-9a-z].*",
            ),
        ),
    ),
    (
        Reason.OLDER,
        _matcher(
            *(
                "#snapshot",
                "~snapshot",
                "@recently-snapshot",
                "@snapshot",
                "@gmt-*",
                ".snapshot*",
                ".zfs",
                ".stversions",
            ),
            *("system volume information", "files_versions", "_history_", "_gsdata_", ".versions", "*.photoversions"),
            *("*.bak", "*.orig", "*.old", "*.backup", "*_original", ".picasaoriginals"),
        ),
    ),
    (
        Reason.PREVIEW,
        _matcher(
            *(
                "@eadir",
                "@__thumb",
                ".@__thumb",
                ".thumbnails",
                "thumbnails",
                "thumbs",
                "_thumbs",
                "__thumbs",
                ".thumbs",
            ),
            *("*.lrdata", "*.lrcat-data", "captureone", "adobe bridge cache", ".bridgecache*", "ipod photo cache"),
            *("pwg_representative", "appdata_*", ".xnviewmp*", ".photoprism", "*.photoslibrary", "*.photolibrary"),
            *("*.aplibrary", "*.migratedphotolibrary", "thumbs.db", "ehthumbs*.db"),
        ),
    ),
    (
        Reason.UNFINISHED,
        _matcher(
            *("*.part", "*.partial", "*.crdownload", "*.download", "*.filepart", "*.tmp", "*.temp", "*~", "~$*"),
            *(
                "~syncthing~*",
                ".syncthing.*",
                ".~lock.*",
                "*.opdownload",
                "*.!ut",
                "*.!qb",
                "*.!bt",
                "*.bc!",
                "*.aria2",
            ),
            *("*.fdmdownload", "*.incomplete", "*.unfinished", "*.inprogress", "*.uploading", "*.crswap", "*.swp"),
        ),
    ),
    (
        Reason.FOREIGN,
        _matcher(
            *("desktop.ini", "__macosx", "@tmp", "@sharebin", "@database", "#@_backup", "$extend", "$windows.~*"),
            *("thevolumesettingsfolder", "temporary items", ".temporaryitems", "._*", ".ds_store"),
        ),
    ),
    (Reason.HIDDEN, _matcher(".*")),
)
"""The first that matches says why."""

_MARKS: Final = frozenset(".$~#@")
"""A name that ends as photos do is ignored only where it begins with one of these."""


def ignored(name: str) -> Reason | None:
    """Return why a file or folder of this name is never looked at, or None where it is."""
    if name[:1] not in _MARKS and is_photo_name(name):
        return None
    return next((reason for reason, pattern in _IGNORED if pattern.match(name)), None)


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is never looked at."""
    return ignored(name) is not None


def is_photo_name(name: str) -> bool:
    """Return whether a name ends as photos do, RAW included; the content is looked at later."""
    return _PHOTO_NAME.fullmatch(name) is not None


def is_video_name(name: str) -> bool:
    """Return whether a file of this name is taken for a video that can be cloaked."""
    return _VIDEO_NAME.fullmatch(name) is not None


def other_name(name: str) -> Reason | None:
    """Return why a file whose name does not end as photos do is none; None: its name says nothing."""
    if _OTHER_VIDEO_NAME.fullmatch(name):
        return Reason.VIDEO
    if _OTHER_NAME.fullmatch(name):
        return Reason.OTHER
    return Reason.UNFINISHED if _BESIDE_PHOTO.fullmatch(name) else None
