"""Write a bill of materials (CycloneDX 1.6, JSON): the same bytes for the same materials, without a time in it.

    python packaging/make_sbom.py -o dist/uncnn.cdx.json                               what requirements-cpu.txt pins
    python packaging/make_sbom.py --installed SITE_PACKAGES [--debian DPKG] -o FILE    what is installed there

Each names the models that ship, with their hashes and licences, and what others made that lies in the wheel. Packages
have their licences where they are installed: a list of pins knows none. DPKG is the folder of Debian's packages, of a
root its var/lib/dpkg. Needs the environment of `make setup`, and for --debian `dpkg-query`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from sources import ROOT, UV, need, output

from uncnn.exporters.registry.catalog import read_catalog
from uncnn.exporters.registry.pins import read_pins
from uncnn.exporters.registry.store import EMBEDDED
from uncnn.plugins.recognisers.cards import read_card

SPDX: Final = {"CC0": "CC0-1.0", "Apache-2.0 upstream": "Apache-2.0"}
"""Licences that a card calls otherwise than SPDX does."""

DETECTORS: Final = {"centerface": "MIT", "retinaface-mobilenet0.25": "MIT"}
"""Detectors have no card: the licences of those that ship, by their folders; tests hold them to the files there."""

WEB_RUNTIME: Final = ROOT / "daemon" / "web" / "onnxruntime"


def main() -> None:
    """Write the bill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--installed", type=Path, metavar="SITE_PACKAGES")
    parser.add_argument("--debian", type=Path, metavar="DPKG")
    parser.add_argument("--check", action="store_true", help="hold it to CycloneDX's schema, which takes a while")
    options = parser.parse_args()
    text = make_sbom(options.installed, options.debian)
    if options.check and (problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)):
        sys.exit(f"the bill of materials would not be valid: {problem}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text)


def make_sbom(installed: Path | None = None, debian: Path | None = None) -> str:
    """Return the bill of what is installed in a folder of packages, or else of what is pinned.

    `debian`: dpkg's folder, whose packages are named besides.
    """
    bom = of_environment(installed) if installed else of_pins()
    more = [*models(), *programs(), *(debian_packages(debian) if debian else ())]
    bom.components.update(more)
    if bom.metadata.component is None:
        raise AssertionError("pyproject.toml names the component that the bill is of")
    bom.register_dependency(bom.metadata.component, more)
    bom.serial_number = bom.metadata.timestamp = None  # type: ignore[assignment] # as cyclonedx-py does it to be reproducible
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def of_pins() -> Bom:
    """Return the bill of the packages that requirements-cpu.txt pins, with the hashes of their files."""
    bom = _made_by("requirements", ROOT / "requirements-cpu.txt")
    for component in bom.components:
        component.description = None  # the line of the file, with all hashes once more
    return bom


def of_environment(folder: Path) -> Bom:
    """Return the bill of the packages in a folder, with their licences and what needs what."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "seen-from"
        subprocess.run([UV, "venv", "-q", "--python", sys.executable, place], check=True)
        (own,) = place.glob("lib/python3*/site-packages")
        (own / "tree.pth").write_text(f"{folder.resolve()}\n")
        for beside in own.glob("_virtualenv.*"):
            beside.unlink()
        return _made_by("environment", place)


def models() -> Iterator[Component]:
    """Yield the networks that ship, each with its hash, licence, and notice."""
    for card in (read_card(file.parent) for file in sorted(EMBEDDED.glob("*/card.yaml"))):
        words = f"Face recogniser, {card.family} ({card.role})"
        yield _model(
            card.name, card.name, card.sha256, SPDX.get(card.licence.name, card.licence.name), words, card.reference
        )
    references = {entry.name: entry.reference for entry in read_catalog().detectors}
    for file, sha256 in sorted(read_pins().detectors.items()):
        folder = file.partition("/")[0]
        yield _model(folder, file, sha256, DETECTORS[folder], "Face detector", references.get(folder))


def programs() -> Iterator[Component]:
    """Yield what others made that lies in the wheel and is no package of its own."""
    (version,) = re.findall(r"\AONNX Runtime Web ([\d.]+)$", (WEB_RUNTIME / "NOTICE").read_text(), re.MULTILINE)
    yield Component(
        type=ComponentType.LIBRARY,
        name="onnxruntime-web",
        version=version,
        bom_ref="onnxruntime-web",
        purl=PackageURL("npm", None, "onnxruntime-web", version),
        licenses=[LicenseFactory().make_with_id("MIT")],
        copyright="Copyright (c) Microsoft Corporation",
    )


def debian_packages(folder: Path) -> Iterator[Component]:
    """Yield the packages that dpkg has installed, by its folder."""
    need("dpkg-query", packages="dpkg")
    shown = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\n"
    for line in sorted(output(["dpkg-query", f"--admindir={folder}", "-W", "-f", shown]).splitlines()):
        state, name, version, architecture, source = line.split("\t")
        if state.startswith("ii"):
            more = {"arch": architecture} | ({"upstream": source} if source != name else {})
            purl = PackageURL("deb", "debian", name, version, more)
            yield Component(type=ComponentType.LIBRARY, name=name, version=version, bom_ref=str(purl), purl=purl)


def _model(folder: str, name: str, sha256: str, licence: str, words: str, reference: str | None) -> Component:
    notice = (EMBEDDED / folder / "NOTICE").read_text().strip()
    references = [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(reference))] if reference else []
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=name,
        bom_ref=f"model:{name}",
        description=words,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        licenses=[LicenseFactory().make_with_id(licence)],
        copyright=notice,
        external_references=references,
    )


def _made_by(command: str, *given: str | Path) -> Bom:
    """Return what cyclonedx-py says by one of its commands."""
    quiet = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    words: Iterable[str | Path] = [
        "--pyproject",
        ROOT / "pyproject.toml",
        "--output-reproducible",
        "--sv",
        "1.6",
        *given,
    ]
    # a list of pins does not say what needs what, of which cyclonedx-py would warn
    program = [sys.executable, "-W", "ignore::UserWarning", "-m", "cyclonedx_py", command, "--mc-type", "application"]
    done = subprocess.run([*program, *words], env=quiet, check=True, stdout=subprocess.PIPE, text=True)
    found = Bom.from_json(json.loads(done.stdout))  # type: ignore[attr-defined]
    if not isinstance(found, Bom):
        raise TypeError(f"cyclonedx-py {command}: no bill of materials")
    return found


if __name__ == "__main__":
    main()
