"""Files come whole and right, or not at all: from servers on a bad day, over real HTTP."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from model_server import ModelServer, serving

from uncnn.exporters.pulling.download import Downloads, News, Origin
from uncnn.exporters.pulling.parts import DownloadError, only_pull, zip_member
from uncnn.exporters.pulling.transfer import Patience
from uncnn.exporters.registry.catalog import File

SIZE = 1_000_000
NAME = "weights.bin"
QUICK = Patience(
    attempts=3, connect_seconds=60, read_seconds=60, window_seconds=60, window_bytes=1000, pause_seconds=0.01,
    longest_pause_seconds=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ModelServer]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / NAME).write_bytes(os.urandom(SIZE))
    with serving(tmp_path / "served") as server:
        yield server


@pytest.fixture
def wanted(server: ModelServer) -> File:
    content = (server.folder / NAME).read_bytes()
    return a_file(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def a_file(**facts: object) -> File:
    return File.model_validate(
        {"file": NAME, "url": "https://nobody.invalid/x", "repository": "a/b", "path": "x"} | facts
    )


def fetch(data: Path, file: File, origin: Origin, patience: Patience = QUICK, news: list[News] | None = None) -> Path:
    told = news.append if news is not None else lambda _news: None
    with only_pull(data) as store, Downloads(store, origin, told, patience) as downloads:
        return downloads.start(file).result(timeout=300)


def store(data: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (data / "downloads").iterdir() if path.name != "lock"}


def assert_right(path: Path, file: File, data: Path) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert store(data) == {NAME: SIZE}


def test_a_file_comes_with_its_progress(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    news: list[News] = []
    assert_right(fetch(tmp_path, wanted, Origin(server.url), news=news), wanted, tmp_path)
    sizes = [each.size for each in news]
    assert sizes == sorted(sizes)
    assert sizes[-1] == news[-1].total == SIZE
    assert (tmp_path / "downloads").stat().st_mode & 0o777 == 0o700
    fetch(tmp_path, wanted, Origin(server.url))
    assert len(server.seen) == 1, "what is there and right is not fetched again"


def test_a_file_that_went_bad_is_fetched_again(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    path = fetch(tmp_path, wanted, Origin(server.url))
    path.write_bytes(b"?" * SIZE)
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)


@pytest.mark.parametrize("trick", ["cut", "no-etag-cut", "no-length-cut"])
def test_a_cut_connection_is_resumed_where_it_was_cut(
    server: ModelServer, wanted: File, tmp_path: Path, trick: str
) -> None:
    server.tricks[NAME] = [trick, trick]
    news: list[News] = []
    assert_right(fetch(tmp_path, wanted, Origin(server.url), news=news), wanted, tmp_path)
    first, second, third = server.ranges(NAME)
    assert first is None
    assert second is not None
    assert third is not None
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < SIZE
    assert "trying again" in str(news)


def test_more_cuts_than_attempts_are_no_failure_while_bytes_come(
    server: ModelServer, wanted: File, tmp_path: Path
) -> None:
    server.tricks[NAME] = ["cut"] * 4
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert len(server.seen) == 5 > QUICK.attempts


def test_a_server_that_ignores_range_starts_over(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    server.tricks[NAME] = ["cut", "ignore-range"]
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(
    server: ModelServer, wanted: File, tmp_path: Path
) -> None:
    server.tricks[NAME] = ["ignore-range-cut"] * 50
    with pytest.raises(DownloadError, match=r"127.0.0.1 was cut .*\(3 attempts\); look after the connection"):
        fetch(tmp_path, wanted, Origin(server.url))
    assert server.ranges(NAME)[0] is None
    assert len(server.seen) == QUICK.attempts


def test_a_file_that_changed_between_two_attempts_starts_over(
    server: ModelServer, wanted: File, tmp_path: Path
) -> None:
    right = (server.folder / NAME).read_bytes()
    (server.folder / NAME).write_bytes(bytes(SIZE))
    server.tricks[NAME] = ["cut"] + ["500"] * 2
    with pytest.raises(DownloadError, match="3 attempts"):
        fetch(tmp_path, wanted, Origin(server.url))
    (server.folder / NAME).write_bytes(right)
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert server.seen[-1][1] is not None
    assert len(server.seen) == 4, "If-Range: the server saw that the ETag is another one"


def test_a_part_of_another_file_without_an_etag_is_dropped(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    right = (server.folder / NAME).read_bytes()
    (server.folder / NAME).write_bytes(bytes(SIZE))
    server.tricks[NAME] = ["no-etag-cut", "500", "500"]
    with pytest.raises(DownloadError):
        fetch(tmp_path, wanted, Origin(server.url))
    (server.folder / NAME).write_bytes(right)
    news: list[News] = []
    assert_right(fetch(tmp_path, wanted, Origin(server.url), news=news), wanted, tmp_path)
    assert "starting over" in str(news)


def test_wrong_bytes_are_never_used(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    server.tricks[NAME] = ["wrong"] * 9
    with pytest.raises(DownloadError) as caught:
        fetch(tmp_path, wanted, Origin(server.url))
    assert f"but the catalog says {wanted.sha256}" in str(caught.value)
    assert "--mirror URL or --from FOLDER" in str(caught.value)
    assert len(server.seen) == 1, "the same wrong file would come again"
    assert store(tmp_path) == {}


def test_a_file_of_another_size_is_not_even_fetched(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    news: list[News] = []
    with pytest.raises(DownloadError, match=r"has 1,000,000 bytes, but the catalog says 999,999"):
        fetch(tmp_path, wanted.model_copy(update={"bytes": SIZE - 1}), Origin(server.url), news=news)
    assert news == []
    assert store(tmp_path) == {}


def test_more_bytes_than_said_are_cut_off(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    server.tricks[NAME] = ["longer"]
    with pytest.raises(DownloadError, match="sends more than 1,000,000 bytes"):
        fetch(tmp_path, wanted, Origin(server.url))
    assert store(tmp_path) == {}


def test_an_unknown_size_without_a_length_is_judged_by_its_hash(
    server: ModelServer, wanted: File, tmp_path: Path
) -> None:
    server.tricks[NAME] = ["longer"]
    with pytest.raises(DownloadError, match="it is damaged, or another file"):
        fetch(tmp_path, wanted.model_copy(update={"bytes": None}), Origin(server.url))
    assert store(tmp_path) == {}


@pytest.mark.parametrize(("code", "words"), [("404", "not there"), ("410", "not there"), ("403", "is refused")])
def test_what_will_not_pass_is_asked_for_once(
    server: ModelServer, wanted: File, tmp_path: Path, code: str, words: str
) -> None:
    server.tricks[NAME] = [code] * 9
    with pytest.raises(DownloadError, match=rf"{NAME}: http.*{words} \({code}.*--mirror"):
        fetch(tmp_path, wanted, Origin(server.url))
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", ["500", "502", "503", "429", "408"])
def test_what_may_pass_is_asked_for_again(server: ModelServer, wanted: File, tmp_path: Path, code: str) -> None:
    server.tricks[NAME] = [code]
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert len(server.seen) == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_busy_server_is_left_alone_as_long_as_it_asks(
    server: ModelServer, wanted: File, tmp_path: Path, form: str
) -> None:
    server.tricks[NAME] = ["503=1" if form == "seconds" else f"503={formatdate(time.time() + 2, usegmt=True)}"]
    before = time.monotonic()
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert time.monotonic() - before > 0.9


def test_a_server_that_asks_for_hours_is_not_waited_for(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    server.tricks[NAME] = ["429=7200"]
    with pytest.raises(DownloadError, match=r"answers 429 .*, for another 7,200 s; pull again then"):
        fetch(tmp_path, wanted, Origin(server.url))


def test_a_range_that_is_not_there_starts_over(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    with only_pull(tmp_path) as folder:
        (folder / f"{NAME}.{wanted.digest[:8]}.part").write_bytes(bytes(SIZE + 5))
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert server.ranges(NAME) == [f"bytes={SIZE + 5}-", None]


def test_a_part_that_is_whole_needs_no_byte(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    with only_pull(tmp_path) as folder:
        shutil.copy(server.folder / NAME, folder / f"{NAME}.{wanted.digest[:8]}.part")
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert server.ranges(NAME) == [f"bytes={SIZE}-"], "416 says that nothing follows"


@pytest.mark.parametrize(
    ("trick", "patience", "words"),
    [
        ("silent", replace(QUICK, read_seconds=0.5), "is silent"),
        ("drip", replace(QUICK, window_seconds=0.5), "are too few"),
    ],
)
def test_a_slow_server_is_given_up_and_asked_again(
    server: ModelServer, wanted: File, tmp_path: Path, trick: str, patience: Patience, words: str
) -> None:
    server.tricks[NAME] = [trick] * 9
    with pytest.raises(DownloadError, match=rf"{words}.*3 attempts"):
        fetch(tmp_path, wanted, Origin(server.url), patience)
    server.tricks[NAME] = [trick]
    assert_right(fetch(tmp_path, wanted, Origin(server.url), patience), wanted, tmp_path)


def test_nobody_listens(wanted: File, tmp_path: Path) -> None:
    with serving(tmp_path) as gone:
        url = gone.url
    with pytest.raises(
        DownloadError, match=r"127.0.0.1 cannot be reached .*3 attempts.*look after the connection and pull again"
    ):
        fetch(tmp_path, wanted, Origin(url))


def test_a_redirect_is_followed_but_not_for_ever(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    server.tricks[NAME] = [f"redirect={server.url}/other/{NAME}", f"redirect=/{NAME}"]
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    server.tricks[NAME] = [f"redirect=/{NAME}"] * 50
    with pytest.raises(DownloadError, match="redirects more than 5 times"):
        fetch(tmp_path / "again", wanted, Origin(server.url))
    server.tricks[NAME] = ["redirect=file:///etc/passwd"]
    with pytest.raises(DownloadError, match=r"redirects to file:/etc/passwd, which is not https"):
        fetch(tmp_path / "again", wanted, Origin(server.url))


def test_https_never_becomes_http(server: ModelServer, wanted: File, tmp_path: Path, monkeypatch) -> None:
    openssl = shutil.which("openssl") or pytest.skip("needs openssl for a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    name = "subjectAltName=IP:127.0.0.1"
    files = ["-addext", name, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    with serving(server.folder, both) as secure:
        with pytest.raises(DownloadError, match="its certificate is not trusted"):
            fetch(tmp_path, wanted, Origin(secure.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        secure.tricks[NAME] = [f"redirect={server.url}/{NAME}"]
        with pytest.raises(DownloadError, match="which is not https: it is not followed"):
            fetch(tmp_path, wanted, Origin(secure.url))
        assert server.seen == []
        assert_right(fetch(tmp_path, wanted, Origin(secure.url)), wanted, tmp_path)


def test_a_proxy_of_the_environment_is_used(
    server: ModelServer, wanted: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    assert_right(fetch(tmp_path, wanted, Origin("http://models.invalid")), wanted, tmp_path)
    monkeypatch.setenv("http_proxy", "gopher://proxy.invalid")
    with pytest.raises(DownloadError, match=r"network settings cannot be used .*correct \$http_proxy"):
        fetch(tmp_path, wanted, Origin("http://models.invalid"))


def test_what_is_encoded_unasked_is_refused(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    server.tricks[NAME] = ["encoded"]
    with pytest.raises(DownloadError, match="comes encoded as gzip"):
        fetch(tmp_path, wanted, Origin(server.url))


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1", "nonsense", "http://[::1"])
def test_a_mirror_that_is_no_url_is_told(wanted: File, tmp_path: Path, mirror: str) -> None:
    with pytest.raises(DownloadError, match=r"correct the URL, or leave --mirror out"):
        fetch(tmp_path, wanted, Origin(mirror))


def test_a_folder_serves_by_name(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    assert_right(fetch(tmp_path, wanted, Origin(folder=server.folder)), wanted, tmp_path)
    assert (server.folder / NAME).is_file()
    with pytest.raises(DownloadError, match=rf"{NAME} is not there; put it there under this name"):
        fetch(tmp_path / "again", wanted, Origin(folder=tmp_path))
    (server.folder / NAME).write_bytes(bytes(SIZE))
    with pytest.raises(DownloadError, match="but the catalog says"):
        fetch(tmp_path / "again", wanted, Origin(folder=server.folder))
    assert store(tmp_path / "again") == {}


LIMITED = """
import pathlib, resource, sys
from uncnn.exporters.registry.catalog import File
from uncnn.exporters.pulling.download import Downloads, Origin
from uncnn.exporters.pulling.parts import DownloadError, only_pull
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
file = File.model_validate_json(sys.argv[2])
origin = Origin(sys.argv[3])
with only_pull(pathlib.Path(sys.argv[1])) as store, Downloads(store, origin, lambda news: None) as downloads:
    try:
        downloads.start(file).result()
    except DownloadError as error:
        print(error)
"""


def test_a_full_disk_is_told_and_what_came_is_kept(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    """A limit on the size of files fails a write in the middle, as a full disk does."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path), wanted.model_dump_json(), server.url]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "the disk is full" in answer.stdout, answer
    assert "free some space and pull again; the 300,000 bytes that are there are kept" in answer.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] > SIZE or resource.getrlimit(resource.RLIMIT_FSIZE)[0] == -1
    assert_right(fetch(tmp_path, wanted, Origin(server.url)), wanted, tmp_path)
    assert server.ranges(NAME) == [None, "bytes=300000-"]


def test_a_disk_that_is_too_small_is_told_before(server: ModelServer, wanted: File, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        with pytest.raises(DownloadError, match=r"1,000,000 bytes are needed and \d+,\d+ are free; free some space"):
            fetch(small, wanted, Origin(server.url))
        unknown = wanted.model_copy(update={"bytes": None})
        with pytest.raises(DownloadError, match="the disk is full: No space left on device; free some space"):
            fetch(small, unknown, Origin(folder=server.folder))
        assert not [name for name in store(small) if not name.endswith((".part", ".etag"))], "never a half file"
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_two_pulls_at_once(tmp_path: Path) -> None:
    with only_pull(tmp_path), pytest.raises(DownloadError, match="another pull is at work in"), only_pull(tmp_path):
        pass
    with only_pull(tmp_path) as folder:
        (folder / "left.part").touch()
        os.utime(folder / "left.part", (0, 0))
        (folder / "young.part").touch()
    with only_pull(tmp_path) as folder:
        assert {path.name for path in folder.iterdir()} == {"lock", "young.part"}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_gives_its_one_member(tmp_path: Path) -> None:
    member = zip_member(zipped(tmp_path / "one.zip", {"folder/": b"", "folder/weights.pth": b"?"}))
    assert member is not None
    assert member.filename == "folder/weights.pth"
    assert zip_member(zipped(tmp_path / "torch.pth", {"archive/data.pkl": b"?", "archive/data/0": b"?"})) is None
    with pytest.raises(DownloadError, match="one file of weights was expected in it, not 2"):
        zip_member(zipped(tmp_path / "two.zip", {"a": b"?", "b": b"?"}))
    (tmp_path / "no.zip").write_bytes(b"PK?")
    assert zip_member(tmp_path / "no.zip") is None


def test_a_head_of_a_hash_may_be_that_of_the_member(server: ModelServer, tmp_path: Path) -> None:
    content = os.urandom(1000)
    path = zipped(server.folder / "weights.zip", {"weights.pth": content})
    for right in (path.read_bytes(), content):
        head = hashlib.sha256(right).hexdigest()[:9]
        file = a_file(sha256_head=head, file="weights.zip")
        file = file.model_copy(update={"url": f"{server.url}/weights.zip"})  # the publisher's own
        assert fetch(tmp_path / head, file, Origin()).read_bytes() == path.read_bytes()
    with pytest.raises(DownloadError, match="but the catalog says 123456789"):
        fetch(tmp_path, file.model_copy(update={"sha256_head": "123456789"}), Origin())


@pytest.mark.parametrize("origin", ["mirror", "folder"])
def test_a_head_of_a_hash_is_no_proof_for_a_mirror_or_a_folder(
    server: ModelServer, tmp_path: Path, origin: str
) -> None:
    content = zipped(server.folder / "weights.zip", {"weights.pth": os.urandom(1000)}).read_bytes()
    file = a_file(sha256_head=hashlib.sha256(content).hexdigest()[:9], file="weights.zip")
    with pytest.raises(DownloadError, match=r"only the first 9 digits .* no proof.* from its publisher alone"):
        fetch(tmp_path, file, Origin(server.url) if origin == "mirror" else Origin(folder=server.folder))
    assert store(tmp_path) == {}
