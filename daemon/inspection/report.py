"""What `inspect` prints: the photo in a few lines, a line a face, a line for each thing that the file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uncnn.daemon.text import printable, size_words

_TELLING: Final = {
    "position": "position",
    "people": "people's names",
    "owner": "owner",
    "serial number": "serial numbers",
    "maker note": "maker note",
    "second picture": "further pictures",
    "video": "video",
    "time": "times",
    "words": "texts",
}
"""What is named of those things that would be removed; most telling first."""

_FIRST: Final = ("GPS", "people", "thumbnail", "preview", "second picture", "video")
_MOST: Final = 20  # lines of one group
_INDENT, _GAP, _NAME_MOST, _VALUE_LEAST = 2, 2, 28, 12


def show(answer: dict[str, Any], every: bool) -> None:
    """Print what a photo is, its faces and what it says: of large groups the most telling, or all of it."""
    console = Console(highlight=False)
    console.print(f"[bold]{escape(printable(answer['file']))}[/bold]", soft_wrap=True)
    console.print(_facts(answer))
    if answer["faces"] is not None:
        console.print()
        console.print(faces_line(answer["faces"], answer["policy"]))
        if answer["faces"]:
            console.print(_faces(answer["faces"], answer["policy"]["smallest_px"]))
        if answer["written"]:
            console.print(f"written: {escape(printable(answer['written']))}", soft_wrap=True)
    console.print()
    if answer["said"]:
        console.print(f"Metadata in the file ({_policy_words(answer['policy'])}):")
        for line in said_lines(answer["said"], console.width, every):
            console.print(line, soft_wrap=True)
    console.print(last_line(answer["said"]))


def _facts(answer: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for title, words in _fact_rows(answer["photo"]):
        table.add_row(title, escape(words))
    if answer["place"]:
        table.add_row("[bold red]place[/bold red]", f"[bold]{escape(answer['place'])}[/bold]")
    for note in answer["photo"]["notes"]:
        table.add_row("note", escape(note))
    return table


def _fact_rows(photo: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the title and the words of each fact."""
    yield "format", ", ".join([photo["format"], *photo["kind"]])
    megapixels = photo["width"] * photo["height"] / 1e6
    large = f" ({megapixels:.1f} megapixels)" if megapixels >= 0.1 else ""
    yield "size", f"{photo['width']} x {photo['height']} px{large}, {size_words(photo['bytes'])}"
    colours = f"palette of {photo['palette']} colours" if photo["palette"] else photo["channels"]
    transparent = ", with transparency" if photo["transparency"] else ""
    yield "samples", f"{colours}, {photo['bits']} bits{transparent}"
    yield "colours", _colour_words(photo)
    yield "orientation", photo["orientation_words"]
    if photo["dots_per_inch"]:
        across, down = photo["dots_per_inch"]
        yield (
            "resolution",
            f"{across:.4g} dots per inch" if across == down else f"{across:.4g} x {down:.4g} dots per inch",
        )


def _colour_words(photo: dict[str, Any]) -> str:
    name = photo["profile"]
    named = "no profile" if name is None else f"profile {name}"
    return {
        "sRGB": f"sRGB ({named})",
        "wide-gamut": f"wide gamut ({named})",
        "own": f"other than sRGB ({named if name is not None else 'as its chunks say'})",
        "unknown": f"inks ({named})",
    }[photo["colours"]]


def faces_line(faces: Sequence[dict[str, Any]], policy: dict[str, Any]) -> str:
    """Return how many faces there are, and how many of them are large enough to be cloaked."""
    if not faces:
        return "No faces found."
    cloaked = sum(face["cloaked"] for face in faces)
    number = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
    alone = sum(face["size_px"] < policy["smallest_px"] for face in faces)
    small = f"; {alone} smaller than {policy['smallest_px']} px, left unchanged" if alone else ""
    doubtful = sum(bool(face["uncertain"]) and face["size_px"] >= policy["smallest_px"] for face in faces)
    small += f"; {doubtful} uncertain" if doubtful else ""
    who = {"all": "", "all-but-enrolled": ", except enrolled people", "only-enrolled": ", if enrolled"}
    return f"{number}: {cloaked} to be cloaked{who[policy['who']]}{small}"


def _faces(faces: Sequence[dict[str, Any]], smallest_px: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "size, px", "left", "top", "right", "bottom", "score"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for face in faces:
        box = [str(round(value)) for value in face["box"]]
        fate = _fate(face, smallest_px)
        table.add_row(str(face["number"]), f"{face['size_px']:.0f}", *box, f"{face['score']:.2f}", fate)
    return table


def _fate(face: dict[str, Any], smallest_px: int) -> str:
    doubt = f" ({face['uncertain']})" if face["uncertain"] else ""
    if face["cloaked"]:
        return f"[green]cloaked[/green]{doubt}"
    return f"[yellow]left unchanged{f' (< {smallest_px} px)' if face['size_px'] < smallest_px else doubt}[/yellow]"


def _policy_words(policy: dict[str, Any]) -> str:
    return f"{policy['origin']}; metadata: {policy['metadata']}"


def said_lines(said: Sequence[dict[str, Any]], width: int, every: bool) -> Iterator[str]:
    """Yield a line a thing, those of one group together; position and people first, `width` characters at most."""
    name_width = min(max(cell_len(each["name"]) for each in said), _NAME_MOST)
    value_width = max(width - _INDENT - name_width - 2 * _GAP - len("removed"), _VALUE_LEAST)
    for group, own in _groups(said):
        yield f"[bold]{escape(group)}[/bold]"
        shown_facts = own if every else _most_telling(own)
        for each in shown_facts:
            name, value = _fitted(each["name"], name_width), _fitted(each["value"], value_width)
            fate = "[yellow]kept[/yellow]" if each["kept"] else "[green]removed[/green]"
            yield f"{' ' * _INDENT}{escape(name)}{' ' * _GAP}{escape(value)}{' ' * _GAP}{fate}"
        if len(shown_facts) < len(own):
            yield f"{' ' * _INDENT}[dim]and {len(own) - len(shown_facts)} more: --all lists them[/dim]"


def _fitted(words: str, width: int) -> str:
    """Return words as wide as a column."""
    return set_cell_size(words if cell_len(words) <= width else set_cell_size(words, width - 3) + "...", width)


def _most_telling(own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is said of a group with many things, in their order: an editor's settings alone are a hundred."""
    if len(own) <= _MOST + 1:
        return own
    ranked = sorted(own, key=lambda each: not each["kept"] and each["about"] is None)
    chosen = {id(each) for each in ranked[:_MOST]}
    return [each for each in own if id(each) in chosen]


def _groups(said: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the things by group."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in said:
        groups.setdefault(each["group"], []).append(each)
    return sorted(groups.items(), key=lambda group: _FIRST.index(group[0]) if group[0] in _FIRST else len(_FIRST))


def last_line(said: Sequence[dict[str, Any]]) -> str:
    """Return how many of the things would be removed, and what is among them."""
    if not said:
        return "The file contains no metadata."
    removed = [each for each in said if not each["kept"]]
    kinds = {each["about"] for each in removed}
    named = [words for kind, words in _TELLING.items() if kind in kinds]
    if not removed:
        return "None of the metadata would be removed."
    among = f"; {', '.join(named)} among them" if named else ""
    return f"[bold]{len(removed)} of {len(said)}[/bold] metadata entries would be removed{among}."
