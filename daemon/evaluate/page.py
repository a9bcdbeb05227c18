"""An evaluation as one HTML page: the pictures lie inside it, nothing is fetched, nothing runs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Final

from uncnn.daemon.evaluate.evaluation import Evaluation
from uncnn.daemon.evaluate.report import facts
from uncnn.daemon.evaluate.tables import (
    ALBUMS,
    ANY_JUDGE,
    FACES,
    GROUPS,
    JUDGES,
    MIXED,
    SUMMARY,
    SUMMARY_BY_SIZE,
    VISIBILITY,
    Row,
    album_rows,
    any_judge_rows,
    face_rows,
    group_rows,
    judge_rows,
    mixed_rows,
    size_rows,
    summary_rows,
    visibility_rows,
)
from uncnn.daemon.pictures.contact_sheet import AMPLIFIED

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 75rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap } th { border-bottom: 2px solid #222 }
th { white-space: normal; vertical-align: bottom } td:empty { border: 0 }
.words1 :is(th, td):nth-child(-n+1), .words2 :is(th, td):nth-child(-n+2),
.words3 :is(th, td):nth-child(-n+3) { text-align: left }
tr.first td { border-top: 1px solid #ccc } .scroll { overflow-x: auto } img { max-width: 100%; height: auto }
p, li { max-width: 60rem } li, .small { color: #555; font-size: .9rem }
"""

_MEANING: Final = (
    "Each photo was cloaked and published as a JPEG file, and the judges, which the attack did not use, looked at that "
    "file again: as it is, and after what sites do to photos. “No cloak” is the same photo through the same encoder. A "
    "rate is the share of photos that still speak for their person, with its 95 % confidence interval over people; in "
    "the first table it is that of the judge that links most.",
    "“Matches”: the cloaked photo is linked to another, clean photo of the person. “Own photo”: to its own original, "
    "which is stricter. “Rank 1”: among all clean photos of these people and the distractors, one of the person is the "
    "closest. “Gallery”: the other way about, cloaked photos were collected and a clean one is looked up. “Linear "
    "probe”: a classifier that was trained on cloaked photos names clean ones that it has not seen. “cc”: the cloaked "
    "photo is linked to another cloaked photo of the person. “Mixed”: to any photo of a gallery of the person that is "
    "cloaked in part.",
    "Several photos: “any of 2, 4, 8”: the cloaked photo is linked to at least one of so many others, cloaked too, of "
    "the person; “majority”: each cloaked photo of a person names the owner of the closest clean photo, and most name "
    "the right one; “rank 50”: one of the person is among the fifty closest; “s”: with synthetic distractors too.",
)

_SEEN: Final = (
    "JOD, by ColorVideoVDP: how far the change of the whole photo shows on a phone, on a desktop screen, and of the "
    "face at twice the size; 10 is identical. Likeness: the cosine of copy and original to a recogniser that sees as "
    "people do. Years older: than the original, as a judge outside estimates the age. Rates are those of the judge "
    "that links most, of the file as it was published."
)

_GROUPS: Final = (
    "The mean of the judges, in the first view. “Apart”: the highest of the groups' rates less the lowest. “By "
    "chance”: how often groups of these sizes, drawn at random, are as far apart. Recognisers are not equally sure of "
    "everybody: compare with “no cloak”."
)


def page(evaluation: Evaluation, pictures: Mapping[str, bytes]) -> str:
    """Return the page; `pictures` are PNG files by name: `contact-sheet`, and `trade-off` and `roc` where drawn."""
    found = "".join(f"<li>{escape(fact)}</li>" for fact in facts(evaluation))
    chance = f"Who guesses among these people is right with 1 in {evaluation.people}."
    parts = [
        "<h1>What the cloaks are worth</h1>",
        *(f"<p>{escape(text)}</p>" for text in (*_MEANING, chance)),
        _table(SUMMARY, summary_rows(evaluation), 2),
        "<h2>What is seen, by size of face</h2>",
        _table(SUMMARY_BY_SIZE, size_rows(evaluation), 2),
        f"<p class=small>{escape(_SEEN)}</p>",
        *_plots(pictures),
        "<h2>Faces</h2>",
        f"<p class=small>One face a person, at most eight; the change is shown {AMPLIFIED} times as large.</p>",
        _picture("Faces before and after, and the change", pictures["contact-sheet"]),
        "<h2>What it looks like, measured</h2>",
        _table(VISIBILITY, visibility_rows(evaluation), 1),
        "<p class=small>Of the square around each face at its own resolution, changes in grey levels; means over "
        "faces.</p>",
        "<h2>Each judge</h2>",
        _table(JUDGES, judge_rows(evaluation), 3),
        "<h2>Galleries of which a share is cloaked</h2>",
        _table(MIXED, mixed_rows(evaluation), 3),
        "<h2>Several cloaked photos of a person</h2>",
        _table(ALBUMS, album_rows(evaluation), 3),
        "<h2>Linked by any judge</h2>",
        _table(ANY_JUDGE, any_judge_rows(evaluation), 1),
        *_groups(evaluation),
        "<h2>The faces nearest to a link</h2>",
        _table(FACES, face_rows(evaluation), 2),
        "<p class=small>How far beyond its threshold the judge is that comes nearest to a link, as a share of what the "
        "threshold stands for; below 0 it links.</p>",
        f"<h2>What was evaluated</h2><ul>{found}</ul>",
    ]
    head = f'<meta charset="utf-8"><title>uncnn: evaluation</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _groups(evaluation: Evaluation) -> Iterator[str]:
    """Yield the table of groups of people, where there are some."""
    if evaluation.categories:
        yield "<h2>Groups of people</h2>"
        yield _table(GROUPS, group_rows(evaluation), 3)
        yield f"<p class=small>{escape(_GROUPS)}</p>"


def _plots(pictures: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the plots that there are, each under its title."""
    titles = {
        "trade-off": ("What protection costs in looks", "A plot of match rates against how far the change shows"),
        "roc": ("The judges before and after", "Receiver operating characteristics of each judge"),
    }
    for name, (title, words) in titles.items():
        if name in pictures:
            yield f"<h2>{title}</h2>"
            yield _picture(words, pictures[name])


def _table(titles: Row, rows: Iterable[Row], words: int) -> str:
    whole = [title.replace("-\n", "").replace("\n", " ") for title in titles]
    head = "".join(f"<th>{escape(title)}</th>" for title in whole)
    body = ""
    for row in rows:
        first = ' class="first"' if row[0] else ""
        body += f"<tr{first}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    return f'<div class="scroll"><table class="words{words}"><tr>{head}</tr>{body}</table></div>'


def _picture(words: str, png: bytes) -> str:
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
