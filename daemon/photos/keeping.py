"""Which things of a file a policy keeps: asked of those that write the released file, never decided here."""

from __future__ import annotations

from uncnn.daemon.config.policies import Metadata
from uncnn.daemon.photos.colour import changes_colours
from uncnn.daemon.photos.formats import FORMATS
from uncnn.daemon.photos.inventory.icc import COLOURS, description
from uncnn.daemon.photos.inventory.values import Key
from uncnn.daemon.photos.inventory.xmp import PANORAMA
from uncnn.daemon.photos.metadata import EXIF_PAGE, kept
from uncnn.daemon.photos.opening import open_image
from uncnn.daemon.photos.panorama import projection_of
from uncnn.daemon.photos.profiles import clean_profile
from uncnn.daemon.photos.reader import exif_of_photo
from uncnn.daemon.photos.stored import stored_profile
from uncnn.daemon.photos.values import Photo


def kept_keys(photo: Photo, metadata: Metadata) -> frozenset[Key]:
    """Return the keys of the things of a photo that are in the file that is released under a policy."""
    exif = kept(exif_of_photo(photo), metadata, photo.orientation)
    keys: set[Key] = {("page", tag) for tag in exif if tag != EXIF_PAGE}
    keys |= {("exif", tag) for tag in exif.get_ifd(EXIF_PAGE)}
    if photo.encoding.dots_per_inch is not None:
        keys.add(("resolution", ""))
    chunks = FORMATS[photo.format].colour_chunks(photo.source)
    keys |= {(photo.format, name.decode("ascii")) for name, _ in chunks}
    keys |= {(PANORAMA, name) for name in projection_of(photo.source, photo.format)}
    return frozenset(keys | _colours(photo))


def profile_of(photo: Photo) -> bytes | None:
    """Return the ICC profile of a photo's file as it is."""
    try:
        with open_image(photo.source, photo.format) as image:
            return stored_profile(image, photo.source, photo.format)
    except Exception:  # of a kind that Pillow does not open, though others do
        return photo.profile


def _colours(photo: Photo) -> set[Key]:
    """Return what stays of a profile: its colours, those of sRGB too, and its name where that tells of them alone."""
    if photo.profile is not None:
        return {COLOURS, ("ICC", description(photo.profile) or "")}
    profile = profile_of(photo)
    try:
        if profile is None or changes_colours(clean_profile(profile), 1 if photo.grey else 3):
            return set()  # broken, or none: colours that would change would have been kept
    except Exception:  # as in `icc`
        return set()
    return {COLOURS}
