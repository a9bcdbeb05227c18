"""Taking in and releasing files: nothing but regular files in, nothing but the verified bytes out."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from uncnn.daemon.files import claim, draft
from uncnn.daemon.files.draft import rename_without_replacing
from uncnn.daemon.files.publish import PublishError, publish, snapshot, sweep, way_into
from uncnn.daemon.files.ways import Way
from uncnn.daemon.jobs.recovery import find_released

CONTENT = b"the bytes of a photo" * 1000
STRANGER = Path(__file__).parents[1] / "spawned" / "stranger.py"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    folder = tmp_path / "watch"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.jpg").write_bytes(CONTENT)
    return folder


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "publish"
    made.mkdir()
    return made


@pytest.fixture(params=["without a name", "by a temporary name", "renamed", "claimed", "copied"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the file system be one of five kinds: each knows less than the one before."""
    kinds = ["without a name", "by a temporary name", "renamed", "claimed", "copied"]
    weakness = kinds.index(request.param)

    def refused_call(*_arguments: object, **_named: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if weakness > 0:
        monkeypatch.delattr(os, "O_TMPFILE")
    if weakness > 1:
        monkeypatch.setattr(os, "link", refused_call)
    if weakness > 2:
        monkeypatch.setattr("uncnn.daemon.files.draft.rename_without_replacing", refused_call)
    if weakness > 3:
        monkeypatch.setattr(os, "rename", refused_call)
    return str(request.param)


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    path = tmp_path / "candidate"
    path.write_bytes(CONTENT)
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def no_hanging() -> Iterator[None]:
    """A FIFO or a device that blocks ends the test."""
    signal.alarm(120)
    yield
    signal.alarm(0)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(root: Path, relative: str, spool: Path) -> PublishError:
    with pytest.raises(PublishError) as caught:
        snapshot(root, Path(relative), spool)
    assert "\n" not in str(caught.value)
    assert not spool.exists() or everything(spool) == []
    return caught.value


def test_a_snapshot_is_a_private_copy_of_known_content(watch: Path, spool: Path) -> None:
    source = watch / "sub" / "a.jpg"
    before = source.stat()
    taken = snapshot(watch, Path("sub/a.jpg"), spool)
    assert taken.path.parent == spool
    assert taken.path.read_bytes() == source.read_bytes() == CONTENT
    assert (taken.sha256, taken.size) == (DIGEST, len(CONTENT))
    assert (taken.mtime_ns, taken.ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert (taken.device, taken.inode) == (before.st_dev, before.st_ino)
    assert stat.S_IMODE(taken.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700


def test_the_root_itself_may_be_a_link(watch: Path, spool: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(watch)
    assert snapshot(tmp_path / "link", Path("sub/a.jpg"), spool).sha256 == DIGEST


@pytest.mark.parametrize("relative", ["../watch/sub/a.jpg", "sub/../sub/a.jpg", "/etc/passwd", ".", "a\0b.jpg"])
def test_a_path_that_leads_out_is_refused(watch: Path, spool: Path, relative: str) -> None:
    assert refused(watch, relative, spool).kind == "escape"


def test_links_are_refused_at_every_depth(watch: Path, spool: Path) -> None:
    (watch / "link.jpg").symlink_to(watch / "sub" / "a.jpg")
    (watch / "folder").symlink_to(watch / "sub")
    for relative in ("link.jpg", "folder/a.jpg"):
        error = refused(watch, relative, spool)
        assert error.kind == "symlink"
        assert f"{watch}/{relative.split('/', maxsplit=1)[0]} is a symlink" in str(error)


def test_what_is_no_file_is_refused_without_opening_it(watch: Path, spool: Path) -> None:
    os.mkfifo(watch / "fifo.jpg")
    assert refused(watch, "fifo.jpg", spool).kind == "fifo"
    assert refused(watch, "sub", spool).kind == "folder"
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(watch / "socket.jpg"))
        assert refused(watch, "socket.jpg", spool).kind == "socket"
    assert refused(watch, "sub/a.jpg/b.jpg", spool).kind == "file"


def test_a_device_is_refused(watch: Path, spool: Path) -> None:
    try:
        os.mknod(watch / "null.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device file needs privileges that this user has not")
    assert refused(watch, "null.jpg", spool).kind == "device"


def test_a_missing_source_is_said(watch: Path, spool: Path) -> None:
    error = refused(watch, "sub/none.jpg", spool)
    assert error.kind == "missing"
    assert f"{watch}/sub/none.jpg cannot be read: there is no such file" in str(error)


def test_a_name_that_is_no_text_is_taken_and_printed(watch: Path, spool: Path) -> None:
    name = os.fsdecode(b"\xff\n.jpg")
    (watch / name).write_bytes(CONTENT)
    taken = snapshot(watch, Path(name), spool)
    assert taken.sha256 == DIGEST
    taken.path.unlink()
    (watch / name).unlink()
    assert r"\udcff\n.jpg" in str(refused(watch, name, spool))


def test_a_source_over_the_limit_is_refused(watch: Path, spool: Path) -> None:
    with pytest.raises(PublishError, match=r"the limit is 0\.01 MB") as caught:
        snapshot(watch, Path("sub/a.jpg"), spool, size_limit=10_000)
    assert caught.value.kind == "too-large"
    with (watch / "huge.jpg").open("wb") as huge:
        huge.truncate(500_000_001)  # sparse
    assert refused(watch, "huge.jpg", spool).kind == "too-large"


def test_a_source_that_changes_meanwhile_is_refused(watch: Path, spool: Path) -> None:
    source = watch / "growing.jpg"
    with source.open("wb") as opened:
        opened.truncate(100_000_000)
    stop = threading.Event()

    def write() -> None:
        with source.open("r+b") as opened:
            while not stop.is_set():
                opened.seek(0)
                opened.write(b"x")
                opened.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        error = refused(watch, "growing.jpg", spool)
    finally:
        stop.set()
        writer.join()
    assert error.kind == "changed"
    assert "changed while it was being copied" in str(error)


@pytest.mark.usefixtures("way")
def test_a_release_is_whole_and_readable_and_leaves_nothing_else(folder: Path, candidate: Path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    placed = publish(candidate, folder, Path("2024/may/a.jpg"), DIGEST)
    assert placed == folder / "2024" / "may" / "a.jpg"
    assert placed.read_bytes() == CONTENT
    assert stat.S_IMODE(placed.stat().st_mode) == 0o644 & ~mask
    assert everything(folder) == ["2024", "2024/may", "2024/may/a.jpg"]
    assert placed.stat().st_nlink == 1


@pytest.mark.usefixtures("way")
def test_the_same_bytes_are_released_once(folder: Path, candidate: Path) -> None:
    first = publish(candidate, folder, Path("a.jpg"), DIGEST)
    before = first.stat()
    assert publish(candidate, folder, Path("a.jpg"), DIGEST) == first
    after = first.stat()  # that it was read may show
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert everything(folder) == ["a.jpg"]


@pytest.mark.usefixtures("way")
def test_a_strangers_file_is_left_alone(folder: Path, candidate: Path, tmp_path: Path) -> None:
    (folder / "a.jpg").write_bytes(b"mine")
    (folder / "a (2).jpg").symlink_to(candidate)
    (folder / "a (3).jpg").mkdir()
    for _ in range(2):
        assert publish(candidate, folder, Path("a.jpg"), DIGEST) == folder / "a (4).jpg"
    assert (folder / "a.jpg").read_bytes() == b"mine"
    assert (folder / "a (2).jpg").is_symlink()


def test_a_long_name_is_shortened_for_its_number(folder: Path, candidate: Path) -> None:
    name = "é" * 125 + ".jpg"  # 254 bytes
    (folder / name).write_bytes(b"mine")
    placed = publish(candidate, folder, Path(name), DIGEST)
    assert placed.name == "é" * 123 + " (2).jpg"
    assert placed.read_bytes() == CONTENT


@pytest.mark.usefixtures("way")
def test_a_folder_that_takes_shorter_names_than_it_says_gets_a_shorter_one(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As encfs, which says 189 bytes and takes 175."""

    def limited(real: Callable[..., Any], at: int) -> Callable[..., Any]:
        def short(*arguments: Any, **named: Any) -> Any:
            if len(os.fsencode(arguments[at])) > 175:
                raise OSError(errno.ENAMETOOLONG, "File name too long")
            return real(*arguments, **named)

        return short

    for module, call, at in ((os, "link", 1), (os, "open", 0), (draft, "rename_without_replacing", 2)):
        monkeypatch.setattr(module, call, limited(getattr(module, call), at))
    name = "x" * 200 + ".jpg"
    (folder / ("x" * 139 + ".jpg")).write_bytes(b"mine")
    placed = publish(candidate, folder, Path(name), DIGEST)
    assert placed.name == "x" * 135 + " (2).jpg"
    assert placed.read_bytes() == CONTENT
    assert find_released(folder, Path(name), DIGEST) == Path(placed.name)


@pytest.mark.usefixtures("way")
def test_other_bytes_than_the_verified_are_not_released(folder: Path, candidate: Path) -> None:
    candidate.write_bytes(CONTENT + b"!")
    with pytest.raises(PublishError, match="cloak the photo again") as caught:
        publish(candidate, folder, Path("sub/a.jpg"), DIGEST)
    assert caught.value.kind == "mismatch"
    assert everything(folder) == []


def test_a_link_in_the_publish_folder_is_not_followed(folder: Path, candidate: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PublishError) as caught:
        publish(candidate, folder, Path("sub/a.jpg"), DIGEST)
    assert caught.value.kind == "symlink"
    assert everything(folder) == ["sub"]
    assert everything(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("relative", ["../a.jpg", "/a.jpg", "a/../../b.jpg", "."])
def test_nothing_is_released_outside(folder: Path, candidate: Path, relative: str) -> None:
    with pytest.raises(PublishError) as caught:
        publish(candidate, folder, Path(relative), DIGEST)
    assert caught.value.kind == "escape"


def test_a_missing_folder_or_candidate_is_said(folder: Path, candidate: Path) -> None:
    with pytest.raises(PublishError, match="no such file or folder") as caught:
        publish(candidate, folder / "unplugged", Path("a.jpg"), DIGEST)
    assert caught.value.kind == "missing"
    with pytest.raises(PublishError, match="none cannot be read"):
        publish(candidate.with_name("none"), folder, Path("a.jpg"), DIGEST)
    assert everything(folder) == []


def test_renaming_replaces_nothing_either(folder: Path) -> None:
    (folder / "new").write_bytes(b"new")
    (folder / "taken").write_bytes(b"taken")
    opened = os.open(folder, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError):
            rename_without_replacing((opened, "new"), opened, "taken")
        rename_without_replacing((opened, "new"), opened, "free")
    finally:
        os.close(opened)
    assert everything(folder) == ["free", "taken"]
    assert (folder / "free").read_bytes() == b"new"


def test_permissions_are_widened_last_and_the_times_are_set(
    folder: Path, candidate: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = os.utime

    def look(opened: int, **named: tuple[int, int]) -> None:
        seen.append(stat.S_IMODE(os.fstat(opened).st_mode))
        real(opened, **named)

    monkeypatch.setattr(os, "utime", look)
    before = os.umask(0o027)
    try:
        usual = publish(candidate, folder, Path("usual.jpg"), DIGEST, None, 10**18).stat()
        wide = publish(candidate, folder, Path("wide.jpg"), DIGEST, 0o644, 10**18).stat()
    finally:
        assert os.umask(before) == 0o027
    assert set(seen) == {0o600}
    assert (stat.S_IMODE(usual.st_mode), stat.S_IMODE(wide.st_mode)) == (0o640, 0o644)
    assert usual.st_mtime_ns == 10**18


TRIES = 60


def test_a_stranger_who_swaps_the_temporary_file_gets_nothing_published(folder: Path, tmp_path: Path, way: str) -> None:
    """The bytes of the one and of the other are as long, so that only their hash and the file tell them apart."""
    candidate, theirs = tmp_path / "candidate", tmp_path / "theirs"
    candidate.write_bytes(b"ours" * 100_000)
    theirs.write_bytes(b"evil" * 100_000)
    digest = hashlib.sha256(candidate.read_bytes()).hexdigest()
    stranger = subprocess.Popen([sys.executable, str(STRANGER), str(folder), str(theirs)])
    errors = []
    try:
        for number in range(TRIES):
            try:
                placed = publish(candidate, folder, Path(f"sub/{number}.jpg"), digest)
            except PublishError as error:
                errors.append(error.kind)
            else:
                assert placed.read_bytes() == candidate.read_bytes()
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert set(errors) <= {"replaced"}
    if way == "without a name":
        assert errors == []


def swap(path: Path, content: bytes) -> None:
    """Put another file in a file's place."""
    path.with_name("theirs").write_bytes(content)
    path.with_name("theirs").replace(path)


@pytest.mark.parametrize("content", [b"evil", b"x" * len(CONTENT), None])
def test_a_released_file_that_is_swapped_at_once_is_not_claimed(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    real = os.link

    def link(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        if content is None:
            (folder / "a.jpg").unlink()
        else:
            swap(folder / "a.jpg", content)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(PublishError, match=r"replaced by another program.*do not let other users write") as caught:
        publish(candidate, folder, Path("a.jpg"), DIGEST)
    assert caught.value.kind == "replaced"
    assert everything(folder) == ([] if content is None else ["a.jpg"])
    assert content is None or (folder / "a.jpg").read_bytes() == content


def test_a_temporary_file_that_is_swapped_or_gone_is_not_published(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing but its name can be linked: not even the file that a stranger put there has to move."""
    monkeypatch.delattr(os, "O_TMPFILE")
    real = os.link

    def only_by_name(source: str, *arguments: Any, **named: Any) -> None:
        if source.startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        real(source, *arguments, **named)

    monkeypatch.setattr(os, "link", only_by_name)
    assert publish(candidate, folder, Path("first.jpg"), DIGEST).read_bytes() == CONTENT
    sync = os.fsync

    def meddle(opened: int) -> None:
        sync(opened)
        for temporary in folder.glob(".uncnn-*"):
            swap(temporary, b"evil")

    monkeypatch.setattr(os, "fsync", meddle)
    with pytest.raises(PublishError, match=r"the temporary file of a.jpg was replaced") as caught:
        publish(candidate, folder, Path("a.jpg"), DIGEST)
    assert caught.value.kind == "replaced"
    assert not (folder / "a.jpg").exists()


def test_a_folder_that_is_swapped_meanwhile_is_said(
    folder: Path, candidate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        (folder / "sub").rename(tmp_path / "moved")
        (folder / "sub").mkdir()

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(PublishError, match="publish/sub was replaced by another program") as caught:
        publish(candidate, folder, Path("sub/a.jpg"), DIGEST)
    assert caught.value.kind == "replaced"


WAYS = {
    "without a name": Way.UNNAMED,
    "by a temporary name": Way.LINK,
    "renamed": Way.RENAME,
    "claimed": Way.CLAIM,
    "copied": Way.COPY,
}


def test_it_is_found_out_what_the_folder_can_do_and_nothing_is_left(folder: Path, way: str) -> None:
    assert way_into(folder) is WAYS[way]
    assert everything(folder) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EIO, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES])
def test_whatever_a_file_system_without_links_answers_the_photo_is_released(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused_call(*_arguments: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused_call)
    monkeypatch.setattr("uncnn.daemon.files.draft.rename_without_replacing", refused_call)
    (folder / "a.jpg").write_bytes(b"mine")
    assert publish(candidate, folder, Path("a.jpg"), DIGEST) == folder / "a (2).jpg"
    assert (folder / "a (2).jpg").read_bytes() == CONTENT
    assert everything(folder) == ["a (2).jpg", "a.jpg"]


CLAIMED_AND_KILLED = """
import errno, hashlib, os, signal, sys
from pathlib import Path
from uncnn.daemon.files import claim, draft, publish
del os.O_TMPFILE
def refused(*arguments, **named):
    raise PermissionError(errno.EPERM, "")
os.link = draft.rename_without_replacing = refused
def killed(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "before the rename":
    os.rename = killed
elif sys.argv[3] == "after the rename":
    real = os.rename
    os.rename = lambda *arguments, **named: (real(*arguments, **named), killed())
else:
    os.rename = refused
    claim._CHUNK = 1000
    real = os.write
    seen = []
    def write(descriptor, data):
        seen.append(len(data)) if len(data) == 1000 else None
        return killed() if len(seen) == 5 else real(descriptor, data)
    os.write = write
candidate = Path(sys.argv[1])
publish.publish(candidate, Path(sys.argv[2]), Path("sub/a.jpg"), hashlib.sha256(candidate.read_bytes()).hexdigest())
"""


@pytest.mark.parametrize("when", ["before the rename", "after the rename", "while it is copied"])
def test_a_name_that_a_killed_run_claimed_is_free_again_or_whole(folder: Path, candidate: Path, when: str) -> None:
    command = [sys.executable, "-c", CLAIMED_AND_KILLED, str(candidate), str(folder), when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (temporary,) = [path.name for path in folder.glob("*.part")] or [""]
    wanted = {"before": temporary.encode(), "after": CONTENT, "while": CONTENT[:4000]}
    assert (folder / "sub" / "a.jpg").read_bytes() == wanted[when.split(maxsplit=1)[0]]
    sweep(folder)
    assert everything(folder) == (["sub", "sub/a.jpg"] if when == "after the rename" else ["sub"])
    assert publish(candidate, folder, Path("sub/a.jpg"), DIGEST) == folder / "sub" / "a.jpg"


@pytest.mark.parametrize(
    ("left", "is_removed"),
    [
        (CONTENT[:5000], True),
        (CONTENT[:5000] + bytes(3000), True),
        (CONTENT[:5000] + bytes(len(CONTENT) - 5000), True),
        (bytes(len(CONTENT)), True),
        (CONTENT, False),
        (CONTENT[:5000] + b"theirs", False),
        (CONTENT[:5000] + bytes(10) + b"theirs", False),
        (CONTENT + bytes(10), False),
        (CONTENT + b"!", False),
        (b"", True),
        (b".uncnn-0123456789abcdef.part", True),
        (b".uncnn-01234567" + bytes(13), True),
        (b".uncnn-01234567" + b"theirs", False),
        (b".uncnn-0123456789abcdef.part" + b"theirs", False),
        (bytes(5000) + b"theirs", False),
    ],
)
def test_what_a_power_failure_left_of_a_copied_photo_is_removed(
    folder: Path, left: bytes, is_removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_CHUNK", 1024)
    name = ".uncnn-0123456789abcdef"
    (folder / "a.jpg").write_bytes(left)
    (folder / f"{name}.claim").write_bytes(b"a.jpg")
    (folder / f"{name}.part").write_bytes(CONTENT)
    sweep(folder)
    assert everything(folder) == ([] if is_removed else ["a.jpg"])


def test_a_note_of_another_user_or_for_another_file_removes_nothing(folder: Path, tmp_path: Path) -> None:
    name = ".uncnn-0123456789abcdef"
    (folder / "whole.jpg").write_bytes(b"a whole photo")
    (folder / "empty.jpg").touch()
    for claimed, temporary in (
        (b"whole.jpg", b"a whole"),
        (b"whole.jpg", b"another photo of theirs"),
        (b"../outside.jpg", b"outside!"),
        (b"none.jpg", b""),
        (b"", b""),
        (b"a\0b", b""),
        (b"link.jpg", b"outside!"),
    ):
        (tmp_path / "outside.jpg").write_bytes(b"outside")
        (folder / "link.jpg").unlink(missing_ok=True)
        (folder / "link.jpg").symlink_to(tmp_path / "outside.jpg")
        (folder / f"{name}.claim").write_bytes(claimed)
        (folder / f"{name}.part").write_bytes(temporary)
        sweep(folder)
        assert everything(folder) == ["empty.jpg", "link.jpg", "whole.jpg"]
        assert (tmp_path / "outside.jpg").read_bytes() == b"outside"
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's note")
    (folder / f"{name}.claim").write_bytes(b"whole.jpg")
    (folder / f"{name}.part").write_bytes(b"a whole photo, and more")
    for each in (".claim", ".part"):
        os.chown(folder / f"{name}{each}", 65533, 65533)
    sweep(folder)
    assert everything(folder) == ["empty.jpg", "link.jpg", "whole.jpg"]


def test_a_claim_that_another_program_fills_is_left_to_it(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused_call(*_arguments: object, **_named: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused_call)
    monkeypatch.setattr("uncnn.daemon.files.draft.rename_without_replacing", refused_call)
    real = claim._mark

    def marked(writer: int, temporary: str) -> None:
        real(writer, temporary)
        (folder / "a.jpg").write_bytes(b"mine")

    monkeypatch.setattr(claim, "_mark", marked)
    with pytest.raises(PublishError, match="replaced by another program") as caught:
        publish(candidate, folder, Path("a.jpg"), DIGEST)
    assert caught.value.kind == "replaced"
    assert everything(folder) == ["a.jpg"]
    assert (folder / "a.jpg").read_bytes() == b"mine"


def test_a_file_system_that_can_do_nothing_at_all_is_said(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, *arguments, **named)

    monkeypatch.delattr(os, "O_TMPFILE")
    monkeypatch.setattr(os, "open", opened)
    for release in (lambda: publish(candidate, folder, Path("a.jpg"), DIGEST), lambda: way_into(folder)):
        with pytest.raises(PublishError, match="choose a folder on another file system") as caught:
            release()
        assert caught.value.kind == "unsupported"
    assert everything(folder) == []


@pytest.mark.parametrize(("mode", "is_out"), [(None, True), (0o600, False)])
def test_permissions_that_cannot_be_had_count_only_where_they_were_asked_for(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None, is_out: bool
) -> None:
    """As on FAT and many network folders, whose mount says who may read."""
    change = os.fchmod

    def refused_call(opened: int, _mode: int) -> None:
        change(opened, 0o644)
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def no_times(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "fchmod", refused_call)
    monkeypatch.setattr(os, "utime", no_times)
    if is_out:
        assert publish(candidate, folder, Path("a.jpg"), DIGEST, mode, 10**18).read_bytes() == CONTENT
        return
    with pytest.raises(PublishError, match="not permitted"):
        publish(candidate, folder, Path("a.jpg"), DIGEST, mode, 10**18)
    assert everything(folder) == []


def test_bytes_that_the_disk_did_not_keep_do_not_stay_published(
    folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        with (folder / "a.jpg").open("r+b") as writer:
            writer.write(b"T")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(PublishError, match="does not contain the verified bytes") as caught:
        publish(candidate, folder, Path("a.jpg"), DIGEST)
    assert caught.value.kind == "mismatch"
    assert everything(folder) == []


def test_a_link_on_the_way_to_the_publish_folder_has_to_be_ones_own(
    folder: Path, candidate: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mine").symlink_to("publish/../elsewhere")
    placed = publish(candidate, tmp_path / "mine" / ".." / "mine", Path("a.jpg"), DIGEST)
    assert placed.read_bytes() == (tmp_path / "elsewhere" / "a.jpg").read_bytes() == CONTENT
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(PublishError):
        publish(candidate, tmp_path / "round", Path("a.jpg"), DIGEST)
    with pytest.raises(PublishError, match="not a folder"):
        publish(candidate, candidate / "below", Path("a.jpg"), DIGEST)
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's link")
    (tmp_path / "theirs").symlink_to("elsewhere")
    os.chown(tmp_path / "theirs", 65533, 65533, follow_symlinks=False)
    with pytest.raises(PublishError, match="the symbolic link theirs in its path belongs to another user") as caught:
        publish(candidate, tmp_path / "theirs", Path("b.jpg"), DIGEST)
    assert caught.value.kind == "symlink"
    assert everything(tmp_path / "elsewhere") == ["a.jpg"]


def test_a_folder_is_named_from_where_one_is(folder: Path, candidate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert publish(candidate, Path(), Path("a.jpg"), DIGEST) == Path("a.jpg")
    monkeypatch.chdir(folder.parent)
    assert publish(candidate, Path("publish"), Path("b.jpg"), DIGEST) == Path("publish/b.jpg")
    assert everything(folder) == ["a.jpg", "b.jpg"]


RACE = """
import hashlib, os, sys
from pathlib import Path
from uncnn.daemon.files.publish import publish
folder, candidate = map(Path, sys.argv[1:3])
if sys.argv[3] != "unnamed":
    del os.O_TMPFILE
if sys.argv[3] == "claimed":
    from uncnn.daemon.files import draft
    def refused(*arguments, **named):
        raise PermissionError(1, "")
    os.link = draft.rename_without_replacing = refused
digest = hashlib.sha256(candidate.read_bytes()).hexdigest()
for number in range(100):
    publish(candidate, folder, Path(f"sub/{number}.jpg"), digest)
"""


@pytest.mark.parametrize("kind", ["unnamed", "named", "claimed"])
def test_processes_release_every_file_once(folder: Path, tmp_path: Path, kind: str) -> None:
    candidates = []
    for name in ("one", "other", "one again"):
        path = tmp_path / name
        path.write_bytes(name.split()[0].encode() * 10_000)
        candidates.append(path)
    processes = [subprocess.Popen([sys.executable, "-c", RACE, str(folder), str(path), kind]) for path in candidates]
    assert [process.wait() for process in processes] == [0, 0, 0]
    for number in range(100):
        found = {(folder / "sub" / name).read_bytes() for name in (f"{number}.jpg", f"{number} (2).jpg")}
        assert found == {path.read_bytes() for path in candidates}
    assert len(everything(folder)) == 201


def test_a_sweep_takes_what_the_dead_left_and_only_that(folder: Path, tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    with endless.open("wb") as opened:
        opened.truncate(100_000_000_000)  # sparse
    mine = folder / ".uncnn-mine.part"
    mine.touch()
    (folder / ".uncnn-0123456789abcdef.part").mkdir()
    others = {mine, folder / ".uncnn-0123456789abcdef.part"}
    program = "import os, sys; from pathlib import Path; from uncnn.daemon.files.publish import publish\n"
    program += "del os.O_TMPFILE\n"
    program += "publish(Path(sys.argv[1]), Path(sys.argv[2]), Path('a.jpg'), '')"
    process = subprocess.Popen([sys.executable, "-c", program, str(endless), str(folder)])
    try:
        while not any(path.stat().st_size for path in set(folder.iterdir()) - others):
            time.sleep(0.005)
        assert sweep(folder) == []
    finally:
        process.kill()
        process.wait()
    (left,) = set(folder.iterdir()) - others
    assert sweep(folder) == [left]
    assert set(folder.iterdir()) == others
    with pytest.raises(PublishError, match="cannot be read"):
        sweep(folder / "none")


MOUNTED = """
import hashlib, sys
from pathlib import Path
from uncnn.daemon.files.publish import PublishError, publish, snapshot
candidate, folder = map(Path, sys.argv[1:])
for release in (
    lambda: publish(candidate, folder, Path("sub/a.jpg"), hashlib.sha256(candidate.read_bytes()).hexdigest()),
    lambda: snapshot(candidate.parent, Path(candidate.name), folder / "spool"),
):
    try:
        release()
    except PublishError as error:
        print(error.kind, error, sep="|")
print(sorted(path.name for path in folder.rglob("*") if path.is_file()))
"""


def mounted(options: str, candidate: Path, folder: Path) -> list[str]:
    """Run MOUNTED with a tmpfs over `folder`, in a mount namespace of its own."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs privileges that this user has not")
    script = f'mount -t tmpfs -o {options} tmpfs "$2" || exit 77; exec "$0" -c "$3" "$1" "$2"'
    command = ["unshare", "-m", "sh", "-c", script, sys.executable, str(candidate), str(folder), MOUNTED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip(f"tmpfs cannot be mounted here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_is_said_and_nothing_is_left(folder: Path, candidate: Path) -> None:
    candidate.write_bytes(CONTENT * 200)
    first, second, files = mounted("size=1m", candidate, folder)
    assert first.startswith("no-space|")
    assert "the disk is full; free some space on it" in first
    assert second.startswith("no-space|")
    assert files == "[]"


def test_a_read_only_folder_is_said(folder: Path, candidate: Path) -> None:
    first, second, files = mounted("ro", candidate, folder)
    assert first == f"read-only|{folder}/sub/a.jpg cannot be published: " + (
        "the file system is read-only; mount it for writing or choose another folder"
    )
    assert second.startswith("read-only|")
    assert files == "[]"
