"""The manual page, made from the commands themselves: `python -m uncnn.daemon.cli.manual > docs/uncnn-daemon.1`.

groff_man(7) has the macros. A test holds the page in the repository to what is printed here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from uncnn.daemon.cli.main import app

_OF_ALL = (
    ("-h, --help", "Explain the command and its options."),
    ("-q, --quiet", "Print only problems."),
    ("-v, --verbose", "Print more; if uncnn itself fails, the traceback."),
)
_STATUS = (
    ("0", "success"),
    ("1", "something is missing, or could not be read or written: the message names it and the remedy"),
    ("2", "wrong usage: an unknown option, value or photo"),
    ("3", "no service is running"),
    ("4", "a photo was held, is not protected, or is no longer as it was published; or something needs your attention"),
    ("5", "verify: no face was found, so nothing could be checked"),
    ("6", "cloak, run --once: all photos were published, but an uncertain face was left unchanged"),
    ("78", "the configuration is wrong: every problem is listed with its line"),
)
_FILES = (
    ("~/.config/uncnn/config.yaml", "the configuration; --config or $UNCNN_CONFIG can name another file"),
    (".uncnn.yaml", "in a watched folder or a subfolder: makes the policy stricter for the photos there"),
    (
        "~/.local/state/uncnn",
        "the list of photos and their states, held copies, and temporary copies; $UNCNN_STATE can name another folder",
    ),
    ("~/.local/share/uncnn/models", "recognisers that you downloaded or added; $UNCNN_MODELS can name more folders"),
)


def page() -> str:
    """Return the manual page in roff."""
    root = typer.main.get_command(app)
    lines = ['.TH UNCNN\\-DAEMON 1 "" "uncnn" "User Commands"', ".SH NAME", f"uncnn\\-daemon \\- {_text(_first(root))}"]
    lines += [".SH SYNOPSIS", ".B uncnn\\-daemon", "COMMAND [OPTION]... [ARGUMENT]..."]
    lines += [".SH DESCRIPTION", _text(root.help or "")]
    lines += [".SH OPTIONS OF EVERY COMMAND", *(line for entry in _OF_ALL for line in _tagged(*entry))]
    lines += [".SH COMMANDS", *_below(root, ())]
    lines += [".SH EXIT STATUS", *(line for entry in _STATUS for line in _tagged(*entry))]
    lines += [".SH FILES", *(line for entry in _FILES for line in _tagged(*entry))]
    return "\n".join(lines) + "\n"


def _below(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    """Yield a section for each command below one."""
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from _below(each, (*words, name))
        else:
            yield from _section(each, (*words, name))


def _section(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    context = typer.Context(command, info_name=" ".join(words))
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_text(' '.join(words))} {_text(usage)}"
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.split()))
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and (record[0], record[1]) not in _OF_ALL:
            yield from _tagged(record[0], " ".join(record[1].split()))


def _tagged(tag: str, words: str) -> Iterator[str]:
    yield from (".TP", f".B {_text(tag)}", _text(words))


def _first(command: Any) -> str:
    return str(command.help).partition(":")[0]


def _text(text: str) -> str:
    """Return text as roff takes it: no escapes, no requests at the beginning of a line."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{plain}" if plain.startswith((".", "\\(aq")) else plain


if __name__ == "__main__":
    sys.stdout.write(page())
