"""The process that looks at a photo: it decodes strangers' bytes, so that a crash is not the command's. No torch.

It loads the detector, and recognisers that tell animals, only when it is asked for faces.
"""

from __future__ import annotations

from typing import Final

from uncnn.daemon.config.policies import Metadata
from uncnn.daemon.inspection.facts import facts
from uncnn.daemon.inspection.messages import FACES, FacesFound, FindFaces, PhotoRead, ReadPhoto
from uncnn.daemon.photos import Photo, decode
from uncnn.daemon.photos.keeping import kept_keys
from uncnn.daemon.photos.listing import inventory
from uncnn.daemon.protect.wire import Handlers, Report

_PLACE: Final = (("GPSLatitude", "GPSLongitude"), ("exif:GPSLatitude", "exif:GPSLongitude"))


def make_inspector() -> Handlers:
    """Return what the process answers: it reads a photo, then finds the faces of it."""
    photos: list[Photo] = []

    def read_photo(asked: ReadPhoto, _report: Report) -> PhotoRead:
        photos[:] = [decode(asked.photo.read(), asked.name)]
        return read(photos[0], asked.metadata)

    return {ReadPhoto: read_photo, FindFaces: lambda asked, _report: find_faces(photos[0], asked)}


def read(photo: Photo, metadata: Metadata) -> PhotoRead:
    """Return what a photo is and what it says, each thing with whether the policy's `metadata` keeps it."""
    keys = kept_keys(photo, metadata)
    things = [
        {
            "group": each.group,
            "name": each.name,
            "value": each.value,
            "about": each.about,
            "kept": each.key is not None and each.key in keys,
        }
        for each in inventory(photo.source, photo.format)
    ]
    said = {each["name"]: str(each["value"]) for each in reversed(things)}
    places = [", ".join(said[name] for name in names if name in said) for names in _PLACE]
    return PhotoRead(facts(photo), next(filter(None, places), None), things)


def find_faces(photo: Photo, asked: FindFaces) -> FacesFound:
    """Return the faces, the largest first, each with whether the policy cloaks it and what is in doubt about it.

    They are looked for as for publication: by the policy, and once more as the verifier does.
    """
    from uncnn.daemon.inspection.drawing import drawn
    from uncnn.daemon.verify.opinion import load_opinion
    from uncnn.daemon.verify.second_look import SecondLook, load_second_detector
    from uncnn.plugins.detectors.turned import looking
    from uncnn.plugins.recognisers.canaries import check_detector
    from uncnn.plugins.recognisers.sessions import providers_for

    rotated, providers = asked.rotated, providers_for(asked.device)
    detector = asked.detector.load(asked.device, torch=False)
    if asked.detector.plugin:
        check_detector(detector, asked.detector.plugin)
    second = SecondLook(detector, load_opinion(providers), load_second_detector(providers))
    known = looking(detector, rotated).detect(photo.pixels)
    detections = second.detections(second.at("", photo.pixels, rotated), known)
    detections.sort(key=lambda detection: -detection.face.size_px)
    faces = [detection.face for detection in detections]
    cloaked = [
        detection.counts(asked.uncertain) and detection.face.size_px >= asked.smallest_px for detection in detections
    ]
    picture = asked.drawn_beside.beside(FACES, drawn(photo.pixels, faces, cloaked)) if asked.drawn_beside else None
    found = [
        {
            "number": number,
            "box": [round(value, 1) for value in face.box],
            "landmarks": [[round(value, 1) for value in point] for point in face.landmarks],
            "score": round(face.score, 4),
            "size_px": round(face.size_px, 1),
            "cloaked": is_cloaked,
            "uncertain": detection.uncertain,
        }
        for number, (face, is_cloaked, detection) in enumerate(zip(faces, cloaked, detections, strict=True), 1)
    ]
    return FacesFound(found, picture)
