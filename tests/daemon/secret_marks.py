"""The secrets that are planted in photos: a table of where each stands, and a mark that is nowhere else.

`WRITTEN` is written by exiftool, which knows where each tag goes in each format; `PACKET` is an XMP packet of what
exiftool writes only piecemeal. What is planted by bytes has its names in `secret_bytes`.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Mapping
from typing import Final

TEXTS: Final = (
    *("EXIF:Artist", "EXIF:Copyright", "EXIF:ImageDescription", "EXIF:UserComment", "EXIF:XPAuthor", "EXIF:XPTitle"),
    *("EXIF:XPComment", "EXIF:XPKeywords", "EXIF:XPSubject", "EXIF:OwnerName", "EXIF:SerialNumber"),
    *("EXIF:LensSerialNumber", "EXIF:ImageUniqueID", "EXIF:HostComputer", "EXIF:Software", "EXIF:ProcessingSoftware"),
    *("EXIF:DocumentName", "EXIF:PageName", "EXIF:TargetPrinter", "EXIF:RelatedSoundFile", "EXIF:SpectralSensitivity"),
    *("EXIF:CameraLabel", "EXIF:ReelName", "EXIF:UniqueCameraModel", "EXIF:ProfileName"),
    *("EXIF:CameraSerialNumber", "EXIF:OriginalRawFileName", "EXIF:ImageHistory"),
    *("EXIF:GPSMapDatum", "EXIF:GPSProcessingMethod", "EXIF:GPSAreaInformation", "EXIF:GPSSatellites"),
)
"""EXIF that no policy allows."""

ALLOWED: Final[Mapping[str, str]] = {
    "EXIF:Make": "<b>{}</b>",
    "EXIF:Model": "{} " * 4,  # over-long
    "EXIF:LensMake": "{}@example.org",
    "EXIF:LensModel": "{}é",
    "EXIF:DateTimeOriginal#": "{}",
    "EXIF:CreateDate#": "2024:01:02 03:04:05 {}",
    "EXIF:ModifyDate#": "{}:2024",
}
"""Tags that a policy allows, with what their checks must refuse."""

IPTC: Final = ("IPTC:By-line", "IPTC:Caption-Abstract", "IPTC:Keywords", "IPTC:City", "IPTC:Writer-Editor")
PHOTOSHOP: Final = ("Photoshop:URL",)
PNG_TEXT: Final = ("PNG:Author", "PNG:Comment", "PNG:Software", "PNG:Title")
JPEG_TEXT: Final = ("File:Comment", "Ducky:Comment")
GIF_TEXT: Final = ("File:Comment",)

_XMP: Final[Mapping[str, str]] = {
    "XMP dc:creator": "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>",
    "XMP dc:title": "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li></rdf:Alt></dc:title>",
    "XMP dc:description": "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>{}</rdf:li></rdf:Alt>"
    "</dc:description>",
    "XMP dc:subject": "<dc:subject><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></dc:subject>",
    "XMP mwg-rs name of a face": "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>"
    "<rdf:li rdf:parseType='Resource'><mwg-rs:Name>{}</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>"
    "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>",
    "XMP MicrosoftPhoto person": "<MP:RegionInfo rdf:parseType='Resource'><MPRI:Regions><rdf:Bag>"
    "<rdf:li MPReg:Rectangle='0.3, 0.3, 0.4, 0.4' MPReg:PersonDisplayName='{}'/></rdf:Bag></MPRI:Regions>"
    "</MP:RegionInfo>",
    "XMP PersonInImage": "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag>"
    "</Iptc4xmpExt:PersonInImage>",
    "XMP aux:SerialNumber": "<aux:SerialNumber>{}</aux:SerialNumber>",
    "XMP aux:OwnerName": "<aux:OwnerName>{}</aux:OwnerName>",
    "XMP xmpMM:DocumentID": "<xmpMM:DocumentID>{}</xmpMM:DocumentID>",
    "XMP xmpMM:History": "<xmpMM:History><rdf:Seq><rdf:li stEvt:action='saved' stEvt:softwareAgent='{}'/></rdf:Seq>"
    "</xmpMM:History>",
    "XMP photoshop:City": "<photoshop:City>{}</photoshop:City>",
    "XMP GCamera:MotionPhoto": "<GCamera:MotionPhoto>{}</GCamera:MotionPhoto>",
    "XMP Container:Directory": "<Container:Directory><rdf:Seq><rdf:li rdf:parseType='Resource'>"
    "<Container:Item Item:Mime='video/mp4' Item:Semantic='{}'/></rdf:li></rdf:Seq></Container:Directory>",
    "XMP GDepth:Data": "<GDepth:Data>{}</GDepth:Data>",
    "XMP hdrgm gain map": "<hdrgm:Version>{}</hdrgm:Version>",
    "XMP exif:GPSAreaInformation": "<exif:GPSAreaInformation>{}</exif:GPSAreaInformation>",
    "XMP unknown namespace": "<own:Diary>{}</own:Diary>",
}
_THUMBNAILS: Final = (
    "<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType='Resource'><xmpGImg:format>JPEG</xmpGImg:format>"
    "<xmpGImg:image>{}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>"
)
_SPACES: Final[Mapping[str, str]] = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpGImg": "http://ns.adobe.com/xap/1.0/g/img/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "own": "http://example.org/own/",
}


def mark(name: str, size: int = 14) -> str:
    """Return letters that stand for the secret of this name, the same at every run."""
    return "".join(random.Random(name).choices(string.ascii_letters, k=size))


def packet(thumbnail: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return an XMP packet of every secret that XMP holds, and the secrets; the thumbnail is a JPEG."""
    picture = base64.b64encode(thumbnail)
    body = "".join(line.format(mark(name)) for name, line in _XMP.items()) + _THUMBNAILS.format(picture.decode())
    spaces = " ".join(f"xmlns:{prefix}='{space}'" for prefix, space in _SPACES.items())
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    text = f"<rdf:RDF xmlns:rdf='{rdf}'><rdf:Description rdf:about='' {spaces}>{body}</rdf:Description></rdf:RDF>"
    whole = f"<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>{text}"
    secrets = {name: mark(name).encode() for name in _XMP} | {"XMP thumbnail": picture[100:140]}
    return f"{whole}</x:xmpmeta><?xpacket end='w'?>".encode(), secrets
