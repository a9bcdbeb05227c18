"""The process that looks at a photo: it decodes strangers' bytes, so that a crash is not the command's. No torch.

It loads the detector, and recognisers that tell animals, only when it is asked for faces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from uncnn.daemon.inspection.facts import facts
from uncnn.daemon.photos import Photo, decode
from uncnn.daemon.photos.inventory import inventory
from uncnn.daemon.photos.inventory.keeping import kept_keys
from uncnn.daemon.processes import Handler, Message, Report

_PLACE: Final = (("GPSLatitude", "GPSLongitude"), ("exif:GPSLatitude", "exif:GPSLongitude"))


def make_inspector() -> Handler:
    """Return the handler of the process: `read` a photo, then find the `faces` of it."""
    photos: list[Photo] = []

    def handle(request: Message, _report: Report) -> Message:
        if request["do"] == "read":
            photos[:] = [decode(Path(request["source"]).read_bytes(), request["name"])]
            return read(photos[0], request)
        return find_faces(photos[0], request)

    return handle


def read(photo: Photo, request: Message) -> Message:
    """Return what a photo is and what it says, each thing with whether the policy's `metadata` keeps it."""
    keys = kept_keys(photo, request["metadata"])
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
    return {"photo": facts(photo), "place": next(filter(None, places), None), "said": things}


def find_faces(photo: Photo, request: Message) -> Message:
    """Return the faces, the largest first, each with whether the policy cloaks it and what is in doubt about it.

    They are looked for as for a release: by the policy, and once more as the verifier does. With a `destination`, the
    photo with the faces in it is written there.
    """
    from uncnn.daemon.inspection.drawing import drawn
    from uncnn.daemon.verify.opinion import load_opinion
    from uncnn.daemon.verify.second_look import SecondLook, load_second_detector
    from uncnn.plugins.detectors.retinaface import load_onnx
    from uncnn.plugins.detectors.turned import looking
    from uncnn.plugins.sessions import providers_for

    rotated, providers = request["rotated"], providers_for(request["device"])
    detector = load_onnx(Path(request["detector"]), providers, sha256=request["detector_sha256"])
    second = SecondLook(detector, load_opinion(providers), load_second_detector(providers))
    known = looking(detector, rotated).detect(photo.pixels)
    sighted = second.sightings(second.at("", photo.pixels, rotated), known)
    sighted.sort(key=lambda sighting: -sighting.face.size_px)
    faces = [sighting.face for sighting in sighted]
    cloaked = [
        sighting.counts(request["uncertain"]) and sighting.face.size_px >= request["smallest_px"]
        for sighting in sighted
    ]
    if request["destination"] is not None:
        Path(request["destination"]).write_bytes(drawn(photo.pixels, faces, cloaked))
    return {
        "faces": [
            {
                "number": number,
                "box": [round(value, 1) for value in face.box],
                "landmarks": [[round(value, 1) for value in point] for point in face.landmarks],
                "score": round(face.score, 4),
                "size_px": round(face.size_px, 1),
                "cloaked": is_cloaked,
                "uncertain": sighting.uncertain,
            }
            for number, (face, is_cloaked, sighting) in enumerate(zip(faces, cloaked, sighted, strict=True), 1)
        ]
    }
