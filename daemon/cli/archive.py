"""The commands `uncnn-daemon archive`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Annotated

import typer

from uncnn.daemon.cli.options import (
    AttackName,
    Commands,
    ConfigFile,
    Device,
    FirstStrength,
    Json,
    Licence,
    Parameters,
    PolicyName,
)

app = Commands("archive", "Cloak a whole archive in shares, on any number of machines.")

Planned = Annotated[
    str, typer.Argument(metavar="PLAN", help="The folder or URL that `archive plan` wrote.", show_default=False)
]
PhotoSeconds = Annotated[
    float, typer.Option("--photo-seconds", min=1, help="Give up on a photo that takes longer than this.")
]
RetryErrors = Annotated[bool, typer.Option("--retry-errors", help="Also try photos again that failed.")]


@app.command()
def plan(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of photos, with its subfolders, or a URL such as s3://bucket/photos.", show_default=False
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="A new folder or URL for the plan.")],
    to: Annotated[
        str | None,
        typer.Option("--to", help="The folder or URL for copies and results; default: the plan's.", show_default=False),
    ] = None,
    config: ConfigFile = None,
    policy: PolicyName = None,
    attack: AttackName = None,
    strength: FirstStrength = None,
    parameter: Parameters = None,
    licence: Licence = None,
    json: Json = False,
) -> None:
    """List the photos of an archive, and write down how they are to be cloaked.

    The plan holds the photos (Parquet), the policy, and the digests of the models: every worker does the same, or
    refuses. Files are taken by the same rules as in `cloak`; videos are not. No photo is opened or changed. Needs the
    extra `archive`.

    Exit status: 0 planned, 1 the source cannot be read or the plan not written, 2 there are no photos, or there is a
    plan already.

    Example: uncnn-daemon archive plan ~/Pictures -o plan

    Example: uncnn-daemon archive plan s3://photos/2024 -o s3://cloaked/2024
    """
    from uncnn.daemon.commands.archive import plan_archive
    from uncnn.daemon.settings import settings_for

    settings = settings_for(config, policy, attack, strength, parameter, licence, None)
    raise typer.Exit(plan_archive(settings, source, output, to, json))


@app.command()
def work(
    plan: Planned,
    shard: Annotated[
        str | None,
        typer.Option(
            help="The share to work, such as 3/64; default: that of the Slurm array task or the Kubernetes indexed job,"
            " otherwise all.",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    photo_seconds: PhotoSeconds = 3600.0,
    retry_errors: RetryErrors = False,
    json: Json = False,
) -> None:
    """Cloak the photos of a plan, or a share of them, that are not done yet.

    Each copy is put first, then a record of what became of the photo: photos with a record are skipped, so a share that
    was stopped continues where it was. A photo that cannot be read is recorded too, as an error. Only copies that are
    protected are published, as in `cloak`.

    Exit status: 0 every photo of the share has a record, 1 the work ended early: the disk, a model or the storage
    failed, 2 there is no plan, or it was made by other models or another version.

    Example: uncnn-daemon archive work plan

    Example: uncnn-daemon archive work s3://cloaked/2024 --shard 3/64
    """
    from uncnn.daemon.commands.archive import work_archive

    raise typer.Exit(work_archive(plan, shard, device or "auto", photo_seconds, retry_errors, json))


@app.command()
def ray(
    plan: Planned,
    actors: Annotated[
        int, typer.Option(min=1, help="Workers that keep their models; each takes a CPU of the cluster.")
    ] = 1,
    gpus_per_actor: Annotated[
        float, typer.Option("--gpus-per-actor", min=0, help="The GPUs of the cluster that each takes, such as 0.5.")
    ] = 0.0,
    address: Annotated[
        str | None,
        typer.Option(
            help="The address of a Ray cluster, such as 10.0.0.5:6379; default: one on this machine, which ends with"
            " the command.",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    photo_seconds: PhotoSeconds = 3600.0,
    retry_errors: RetryErrors = False,
    json: Json = False,
) -> None:
    """Cloak the photos of a plan on a Ray cluster.

    Does what `archive work` does, in workers that Ray starts, and starts again where they die. Only the names of photos
    travel: every worker reads and writes the storage itself. A cluster must require a token: start it with
    RAY_AUTH_MODE=token. Needs the extra `ray`, on all nodes.

    Exit status: as `archive work`.

    Example: uncnn-daemon archive ray plan --actors 2

    Example: uncnn-daemon archive ray s3://cloaked/2024 --address 10.0.0.5:6379 --actors 32 --gpus-per-actor 0.5
    """
    from uncnn.daemon.archive.cluster import Cluster
    from uncnn.daemon.commands.archive import ray_archive

    cluster = Cluster(actors, gpus_per_actor, address, device or "auto", photo_seconds)
    raise typer.Exit(ray_archive(plan, cluster, retry_errors, json))


@app.command()
def status(
    plan: Planned,
    held: Annotated[bool, typer.Option("--held", help="List the photos that were held, and why.")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="List the photos that failed, and why.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List all photos that are done, and what became of them.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Read every published copy, and check that it is the verified one.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what of an archive is done, and what is left.

    Reads the records that the workers of all shares wrote; they may be at work meanwhile.

    Exit status: 0 all photos are done and published or skipped, 4 photos are left, held or failed, 1 a copy is missing
    or is not the verified one (--audit), or the storage failed, 2 there is no plan.

    Example: uncnn-daemon archive status plan --held
    """
    from uncnn.daemon.commands.archive import Asked, archive_status

    chosen = {"held": held or every, "error": errors or every, "published": every, "skipped": every}
    statuses = frozenset(name for name, is_chosen in chosen.items() if is_chosen)
    raise typer.Exit(archive_status(plan, Asked(statuses, audit), json))
