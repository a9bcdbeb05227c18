"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The configuration; default $UNCNN_CONFIG, then the user's own.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (schema_version 1) instead of text.")]
Licence = Annotated[
    list[str] | None,
    typer.Option("--licence", help="Accept models of this licence too: permissive (always), research. Repeatable."),
]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
