"""The command `uncnn-daemon live`. Nothing heavy is imported before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncnn.daemon.cli.options import ConfigFile, Device, Json


def live(
    source: Annotated[Path, typer.Argument(help="A camera, such as /dev/video0, or a video file.", show_default=False)],
    to: Annotated[
        Path,
        typer.Option("--to", help="A loopback device (v4l2loopback), such as /dev/video10, or a new .mp4 file."),
    ],
    real_time: Annotated[
        bool,
        typer.Option("--real-time", help="Play a file as fast as it is shown, and drop frames like a camera's."),
    ] = False,
    hide_all: Annotated[
        bool, typer.Option("--hide-all", help="Also hide people who are enrolled with a mask.")
    ] = False,
    config: ConfigFile = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Hide the faces of a camera or a video, frame by frame, on its way to other programs.

    Every face that is found is blurred so strongly that recognisers do not know it. People who are enrolled with a mask
    (`people enroll --mask`) are shown with it, as long as the judges, asked about once a second, do not know them. This
    is best effort, and every frame says so: frames go on at once, before any judge has seen them. A face that the
    detector does not find is shown. To publish a video, use `cloak`, which checks the copy. Frames larger than 640x480
    are made smaller. Sound is left out.

    Runs until the source ends, or until Ctrl-C; the file can be played then. Needs the extra `video`.

    Exit status: 0 done, 1 the source or the sink cannot be used, or was lost on the way.

    Example: uncnn-daemon live /dev/video0 --to /dev/video10

    Example: uncnn-daemon live clip.mp4 --to hidden.mp4
    """
    from uncnn.daemon.commands.live import go_live
    from uncnn.daemon.settings import settings_for

    settings = settings_for(config, None, None, None, None, None, device, any_policy=True)
    raise typer.Exit(go_live(settings, source, to, real_time, hide_all, json))
