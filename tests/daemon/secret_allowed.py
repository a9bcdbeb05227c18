"""What a released file may say and hold: every tag that exiftool reads, and every piece of every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BY_GROUP: Final[Mapping[str, str]] = {
    "File": "BMPVersion BitDepth BitsPerSample ColorComponents Compression EncodingProcess ExifByteOrder FileType "
    "FileTypeExtension ImageHeight ImageLength ImageWidth MIMEType NumColors NumImportantColors PixelsPerMeterX "
    "PixelsPerMeterY Planes YCbCrSubSampling",
    "GIF": "BackgroundColor BitsPerPixel ColorResolutionDepth GIFVersion HasColorMap ImageHeight ImageWidth",
    "ICC-header": "CMMFlags ColorSpaceData ConnectionSpaceIlluminant DeviceAttributes DeviceManufacturer DeviceModel "
    "PrimaryPlatform ProfileCMMType ProfileClass ProfileConnectionSpace ProfileCreator ProfileDateTime "
    "ProfileFileSignature ProfileID ProfileVersion RenderingIntent",
    "ICC_Profile": "BlueMatrixColumn BlueTRC ChromaticAdaptation GreenMatrixColumn GreenTRC MediaWhitePoint "
    "ProfileCopyright ProfileDescription RedMatrixColumn RedTRC",
    "IFD0": "BitsPerSample ColorMap Compression ExtraSamples ImageHeight ImageWidth PhotometricInterpretation "
    "PlanarConfiguration Predictor ResolutionUnit RowsPerStrip SamplesPerPixel StripByteCounts StripOffsets "
    "XResolution YResolution",
    "JFIF": "JFIFVersion ResolutionUnit XResolution YResolution",
    "Meta": "PrimaryItemReference",
    "PNG": "BitDepth ColorType Compression Filter ImageHeight ImageWidth Interlace Palette ProfileName Transparency",
    "PNG-pHYs": "PixelUnits PixelsPerUnitX PixelsPerUnitY",
    "QuickTime": "AV1ConfigurationVersion AverageFrameRate BitDepthChroma BitDepthLuma ChromaFormat "
    "ChromaSamplePosition ColorPrimaries ColorProfiles CompatibleBrands ConstantFrameRate ConstraintIndicatorFlags "
    "GenProfileCompatibilityFlags GeneralLevelIDC GeneralProfileIDC GeneralProfileSpace GeneralTierFlag "
    "HEVCConfigurationVersion HandlerType HighBitDepth ImagePixelDepth ImageSpatialExtent InitialDelaySamples "
    "MajorBrand MatrixCoefficients MediaData MediaDataOffset MediaDataSize MinSpatialSegmentationIDC MinorVersion "
    "NumTemporalLayers ParallelismType SeqLevelIdx0 SeqProfile SeqTier0 TemporalIDNested TransferCharacteristics "
    "TwelveBit",
    "RIFF": "HorizontalScale ImageHeight ImageWidth VP8Version VerticalScale WebP_Flags",
}
_PIXELS: Final = frozenset(f"{group}:{name}" for group, names in _BY_GROUP.items() for name in names.split())
_CAMERA: Final = frozenset(
    f"{group}:{name}"
    for group, names in {"IFD0": "Make Model", "ExifIFD": "ExposureTime FNumber FocalLength ISO LensModel"}.items()
    for name in names.split()
)
_TIMES: Final = frozenset(("IFD0:ModifyDate", "ExifIFD:DateTimeOriginal", "ExifIFD:CreateDate"))
TAGS: Final = {"none": _PIXELS, "camera": _PIXELS | _CAMERA, "all-but-location": _PIXELS | _CAMERA | _TIMES}
"""As `group:name`, for each policy of metadata."""

OF_NO_FILE: Final = ("System", "ExifTool", "Composite", "SourceFile")
"""Groups of what exiftool says of the file system and itself, and of what it computes from the others."""

_BOXES: Final = "ftyp meta hdlr pitm iinf iloc iref cdsc iprp ipco ipma colr ispe pixi mdat"
_CHUNKS: Final = "IHDR PLTE tRNS iCCP gAMA pHYs eXIf IDAT IEND"
_TIFF: Final = (
    "BitsPerSample ColorMap Compression ExifTag ImageLength ImageWidth InterColorProfile PhotometricInterpretation "
    "PlanarConfiguration Predictor ResolutionUnit RowsPerStrip SamplesPerPixel StripByteCounts StripOffsets "
    "XResolution YResolution Make Model DateTime DateTimeOriginal ExposureTime FNumber FocalLength ISOSpeedRatings "
    "LensModel"
)
PIECES: Final[Mapping[str, frozenset[str]]] = {
    "JPEG": frozenset(("APP0 JFIF", "APP1 Exif", "APP2 ICC_PROFILE", "DQT", "DHT", "SOF0", "SOF2", "SOS")),
    "PNG": frozenset(_CHUNKS.split()),
    "WEBP": frozenset(("VP8X", "VP8 ", "VP8L", "ICCP", "EXIF")),
    "HEIF": frozenset((*_BOXES.split(), "hvcC", "infe hvc1", "infe Exif")),
    "AVIF": frozenset((*_BOXES.split(), "av1C", "infe av01", "infe Exif")),
    "GIF": frozenset(("image",)),
    "BMP": frozenset(("header 40",)),
    "TIFF": frozenset(_TIFF.split()),
}
"""What a file without transparency consists of."""

CLEAR: Final[Mapping[str, frozenset[str]]] = {
    "HEIF": frozenset(("auxC", "auxl")),
    "AVIF": frozenset(("auxC", "auxl")),
    "TIFF": frozenset(("ExtraSamples",)),
    "GIF": frozenset(("extension f9",)),
}
"""And where there is some."""
