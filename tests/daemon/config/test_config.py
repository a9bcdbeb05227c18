"""The configuration: the sample holds, mistakes are all said at once with file, line and path."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path

import pytest

from uncnn.daemon.commands import folder_checks
from uncnn.daemon.commands.config_check import check_config
from uncnn.daemon.commands.config_init import InitError, init_config
from uncnn.daemon.config import Config, ConfigError, Policy, find_config, load
from uncnn.daemon.files.publish import PublishError
from uncnn.daemon.files.ways import Way

SAMPLE = Path(__file__).resolve().parents[3] / "config.yaml"

BAD = """\
version: 2
device: cpux
nonsense: 1
models:
  surrogates: everything
  licences: [gpl]
folders:
  - watch: in
    publish: in/out
    policy: nope
    settle_secnds: 5
  - watch: in/below
    settle_seconds: "5"
  - 7
policies:
  everyday:
    attack: {strength: 5}
    protect: {far: 1e-5, views: [as-is, jpeg-101], margin: 1.5}
    escalate: strong
    unprotected: holdd
    no_face: publish
    no_face: hold
    faces: {who: nobody, smallest_px: 2.5, rotated: maybe}
    metadata: everything
    output: {format: gif, quality: 101, name: "../{stem}"}
"""
EXPECTED = {
    (1, "version"),
    (2, "device"),
    (3, "nonsense"),
    (5, "models.surrogates"),
    (6, "models.licences[0]"),
    (9, "folders[0].publish"),
    (10, "folders[0].policy"),
    (11, "folders[0].settle_secnds"),
    (12, "folders[1].publish"),
    (12, "folders[1].watch"),
    (13, "folders[1].settle_seconds"),
    (14, "folders[2]"),
    (17, "policies.everyday.attack.strength"),
    (18, "policies.everyday.protect.far"),
    (18, "policies.everyday.protect.views[1]"),
    (18, "policies.everyday.protect.margin"),
    (19, "policies.everyday.escalate"),
    (20, "policies.everyday.unprotected"),
    (22, "policies.everyday.no_face"),
    (23, "policies.everyday.faces.who"),
    (23, "policies.everyday.faces.smallest_px"),
    (23, "policies.everyday.faces.rotated"),
    (24, "policies.everyday.metadata"),
    (25, "policies.everyday.output.format"),
    (25, "policies.everyday.output.quality"),
    (25, "policies.everyday.output.name"),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text))
    assert [str(problem) for problem in caught.value.problems] == str(caught.value).splitlines()
    return str(caught.value).splitlines()


def test_the_sample_is_valid_and_says_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    config = load(SAMPLE)
    assert config.policies == Config().policies
    assert config.models == Config().models
    (folder,) = config.folders
    assert folder.watch == Path("/home/someone/Pictures/Outgoing")
    assert folder.publish == Path("/home/someone/Pictures/Cloaked")
    assert config.policy_of(folder) == Policy()


def test_every_field_of_the_sample_has_a_comment() -> None:
    bare = [line for line in SAMPLE.read_text().splitlines() if line.strip() and "#" not in line]
    assert all(line.rstrip().endswith(":") for line in bare)


@pytest.mark.parametrize("text", ["", "policies:\n", "policies: {everyday: }\n", "policies: {everyday: {}}\nmodels:\n"])
def test_what_is_left_out_has_its_default(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text)) == Config()


def test_every_problem_is_said_at_once_with_line_and_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, BAD))
    problems = caught.value.problems
    assert {(problem.line, problem.path) for problem in problems} == EXPECTED
    assert {problem.file for problem in problems} == {tmp_path / "config.yaml"}
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/config.yaml:1: version: found 2; it should be 1\n")
    assert "did you mean 'settle_seconds'?" in text
    assert "it should be 'none', 'camera' or 'all-but-location'" in text
    assert "it should be 'hold' or 'publish-anyway'" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", ":1: found []; it should be a section"),
        ("device: [", ":2: is not valid YAML"),
        ("a: &x {b: 1}\nc: *x", ":2: uses the alias *x"),
        ("a: &x [*x]", ":1: uses the alias *x"),
        ("a: !!python/object:os.system {}", ":1: is not valid YAML: could not determine a constructor"),
        ("? [1]\n: 2", ":1: is not valid YAML: found unhashable key"),
        ("a: 1\n---\nb: 2", ":2: is not valid YAML: but found another document"),
        ("[" * 90_000 + "]" * 90_000, "is nested deeper than 30 levels"),
        ("#" * 300_000, "is larger than 200000 bytes"),
        ("version: !!int x", "contains an invalid value"),
        ("version: 1\0", "is not valid YAML"),
        ("1: 2", ":1: "),
        ("folders: 5", ":1: folders: found 5; it should be a list"),
        ("policies: 7", ":1: policies: found 7; it should be a section"),
        ("folders: [{watch: ~nobody-here/x, publish: p}]", "home of an unknown user"),
        ("folders: [{watch: w, publish: ''}]", "folders[0].publish: '' is not a path of a folder"),
        ("policies: {a: {name: 2024-01-01}}", ":1: policies.a.name: unknown key"),
        ("policies: {a: {escalate: [strong, strong]}}", "'strong' is given twice"),
        ("policies: {a: {protect: {views: []}}}", "policies.a.protect.views: found []; it should have at least one"),
        ("policies: {a: {protect: {views: [asis]}}}", "views[0]: view 'asis' is not known: did you mean as-is? use"),
        ("policies: {a: {protect: {views: [jpeg75]}}}", "view 'jpeg75' is not known: did you mean jpeg-75? use"),
        ("policies: {a: {protect: {views: [jpeg-200]}}}", "view 'jpeg-200' is not known: use as-is"),
        ("policies: {a: {strength: subtle}}", "policies.a.strength: unknown key: it belongs under 'attack'"),
        ("service: {settle_seconds: 5}", "service.settle_seconds: unknown key: it belongs under 'folders'"),
        ("service: {recycle: 5}", "service.recycle: unknown key: did you mean 'recycle_after'?"),
        ("folders: [{watch: w, publish: p, settle: 5}]", "settle: unknown key: did you mean 'settle_seconds'?"),
        ("folders: [{watch: w, publish: p, settle_seconds: 5s}]", "found '5s'; it should be a number"),
        ("service: {metrics: 3}", "service.metrics: found 3; it should be a path"),
        ("service: {notify: 'yes'}", "service.notify: found 'yes'; it should be true or false"),
        ("service: {recycle_after: 4.5}", "found 4.5; it should be a whole number"),
        (
            "folders: [{watch: $HOME/in, publish: p}]",
            "folders[0].watch: '$HOME/in': $HOME is not replaced in this file",
        ),
        (
            "folders: [{watch: w, publish: '/x/${USER}/y'}]",
            "${USER} is not replaced in this file; write ~ for your home",
        ),
        ("folders: [{watch: w, publish: '%USERPROFILE%/y'}]", "%USERPROFILE% is not replaced in this file"),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (line,) = problems_of(tmp_path, text)
    assert line.startswith(str(tmp_path / "config.yaml"))
    assert expected in line


def test_a_missing_or_unreadable_file_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load(path)


@pytest.mark.parametrize(("far", "value"), [("1.0e-3", 1e-3), ("1e-3", 1e-3), ("0.01", 1e-2), ("'1e-4'", 1e-4)])
def test_far_is_read_with_and_without_a_point(tmp_path: Path, far: str, value: float) -> None:
    config = load(written(tmp_path, f"policies: {{everyday: {{protect: {{far: {far}}}}}}}"))
    assert config.policies["everyday"].protect.far == value


@pytest.mark.parametrize("far", ["0.5", "true", "often", "[1e-3]", ".nan"])
def test_other_fars_are_refused(tmp_path: Path, far: str) -> None:
    (line,) = problems_of(tmp_path, f"policies: {{everyday: {{protect: {{far: {far}}}}}}}")
    assert "is not a supported rate: use 1.0e-2, 1.0e-3 or 1.0e-4" in line


@pytest.mark.parametrize(
    "name",
    ["{stem", "{stem}", "{stem}{suffix}.bak", "{stem!r}{suffix}", "{stem.x}{suffix}", "{0}{suffix}", "/{stem}{suffix}"],
)
def test_templates_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    (line,) = problems_of(tmp_path, f"policies: {{everyday: {{output: {{name: '{name}'}}}}}}")
    assert "is not a file name: use {stem}, then {suffix} at the end" in line


def test_an_attack_keeps_its_own_parameters(tmp_path: Path) -> None:
    text = "policies: {everyday: {attack: {name: pgd, strength: strong, steps: 7, targets: [a, b]}}}"
    attack = load(written(tmp_path, text)).policies["everyday"].attack
    assert (attack.name, attack.strength) == ("pgd", "strong")
    assert attack.parameters == {"steps": 7, "targets": ["a", "b"]}


def test_a_detector_must_exist(tmp_path: Path) -> None:
    assert load(SAMPLE).models.detector == "retinaface"
    assert load(written(tmp_path, "models: {detector: centerface}")).models.detector == "centerface"
    with pytest.raises(ConfigError, match="detector 'scrfd' is not installed: choose one of centerface, retinaface"):
        load(written(tmp_path, "models: {detector: scrfd}"))


def test_an_attack_and_strengths_must_exist(tmp_path: Path) -> None:
    text = "policies: {everyday: {attack: {name: pdg, strength: bold}, escalate: [brutal]}}"
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    said = str(caught.value)
    assert "policies.everyday.attack.name: attack 'pdg' is not installed: choose one of boundary, cw, " in said
    assert "policies.everyday.attack.strength: strength 'bold' does not exist" in said
    assert "policies.everyday.escalate[0]: strength 'brutal' does not exist" in said


def test_a_folder_to_stand_in_is_not_needed(tmp_path: Path) -> None:
    file, gone = tmp_path / "config.yaml", tmp_path / "gone"
    file.write_text("version: 1\nfolders: [{watch: in, publish: out}]\n")
    gone.mkdir()
    with chdir(gone):
        gone.rmdir()
        try:
            assert load(file).folders[0].watch == tmp_path / "in"
        finally:
            gone.mkdir()


def test_folders_are_relative_to_the_file(tmp_path: Path) -> None:
    (folder,) = load(written(tmp_path, "folders: [{watch: ../in/./x, publish: out}]")).folders
    assert folder.watch == tmp_path.parent / "in" / "x"
    assert folder.publish == tmp_path / "out"


@pytest.mark.parametrize(
    ("folders", "path"),
    [
        ("[{watch: a, publish: a}]", "folders[0].publish"),
        ("[{watch: a, publish: a/b}]", "folders[0].publish"),
        ("[{watch: a/b, publish: a}]", "folders[0].watch"),
        ("[{watch: a, publish: b}, {watch: a/c, publish: d}]", "folders[1].watch"),
        ("[{watch: a/c, publish: b}, {watch: a, publish: d}]", "folders[1].watch"),
        ("[{watch: a, publish: b}, {watch: a, publish: b}]", "folders[1].watch"),
        ("[{watch: a, publish: b}, {watch: c, publish: a/d}]", "folders[1].publish"),
        ("[{watch: a, publish: c/e}, {watch: c, publish: d}]", "folders[0].publish"),
        ("[{watch: a, publish: b}, {watch: link/x, publish: d}]", "folders[1].watch"),
    ],
)
def test_folders_that_would_feed_each_other_are_refused(tmp_path: Path, folders: str, path: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (line,) = problems_of(tmp_path, f"folders: {folders}")
    assert f":1: {path}: " in line


def test_two_folders_may_publish_into_one(tmp_path: Path) -> None:
    text = "folders: [{watch: a, publish: out}, {watch: ab, publish: out}]"
    assert len(load(written(tmp_path, text)).folders) == 2


def test_a_digest_tells_policies_apart_and_nothing_else(tmp_path: Path) -> None:
    plain = Policy().digest()
    assert plain == load(SAMPLE).policies["everyday"].digest()
    assert len(plain) == 64
    for text in ("escalate: []", "attack: {steps: 3}", "protect: {far: 1e-4}", "output: {quality: 80}"):
        policy = load(written(tmp_path, f"policies: {{everyday: {{{text}}}}}")).policies["everyday"]
        assert policy.digest() != plain


def test_values_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().device = "cpu"


def test_the_configuration_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("UNCNN_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="config init writes one"):
        find_config(None)
    usual = tmp_path / "home" / "uncnn" / "config.yaml"
    usual.parent.mkdir(parents=True)
    usual.touch()
    assert find_config(None) == usual
    named = written(tmp_path, "")
    monkeypatch.setenv("UNCNN_CONFIG", str(named))
    assert find_config(None) == named
    assert find_config(usual) == usual
    with pytest.raises(ConfigError, match="there is no such file"):
        find_config(tmp_path / "none.yaml")


def test_config_check_names_parameters_that_an_attack_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))
    file = tmp_path / "config.yaml"
    file.write_text(
        "policies:\n  one:\n    attack: {name: pgd, stepsize: 3}\n"
        "  two:\n    attack:\n      name: pgd\n      restarts: 0\n"
        "  three:\n    attack: {target: A stranger}\n  four: {attack: {objective: pixels}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        check_config(file)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (3, "policies.one.attack"),
        (5, "policies.two.attack"),
        (9, "policies.three.attack"),
        (10, "policies.four.attack"),
    ]
    assert "no parameter 'stepsize'" in caught.value.problems[0].message
    assert "nobody else is ever a target" in caught.value.problems[2].message


def test_a_folder_may_be_called_like_a_variable(tmp_path: Path) -> None:
    (tmp_path / "$HOME").mkdir()
    assert load(written(tmp_path, "folders: [{watch: $HOME, publish: p}]")).folders[0].watch == tmp_path / "$HOME"


def checked(folder: Path, text: str) -> list[str]:
    """Return what `config check` finds wrong, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        check_config(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "config.yaml:1: is empty: uncnn-daemon config init --force writes a complete one"),
        ("# only a remark", "config.yaml:1: is empty: uncnn-daemon config init --force writes a complete one"),
        (
            "folders:\n- watch: gone\n  publish: out",
            "config.yaml:2: folders[0].watch: gone cannot be read: there is no such file or folder; create it or "
            "correct the path",
        ),
        (
            "folders:\n- watch: config.yaml\n  publish: out",
            "config.yaml:2: folders[0].watch: config.yaml cannot be read: a part of the path is not a folder; "
            "correct the path",
        ),
        (
            "folders:\n- watch: in\n  publish: gone/out",
            "config.yaml:3: folders[0].publish: gone: there is no such folder: create it, mount its disk or correct "
            "the path",
        ),
        (
            "folders:\n- watch: in\n  publish: config.yaml",
            "config.yaml:3: folders[0].publish: config.yaml: it is not a folder: move that file away",
        ),
        (
            "service: {metrics: gone/uncnn.prom}",
            "config.yaml:1: service.metrics: gone is not a folder that can be written: create it, or give this user "
            "access",
        ),
    ],
)
def test_config_check_looks_at_the_folders_themselves(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "in").mkdir()
    assert checked(tmp_path, text) == [expected]


def test_config_check_says_how_the_folders_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert check_config(written(tmp_path, "folders: [{watch: in, publish: out}]")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:4] == [
        f"{tmp_path}/in -> {tmp_path}/out, policy everyday",
        "  watched by events",
        f"  {tmp_path}/out will be created with the first photo",
    ]
    assert not (tmp_path / "out").exists()
    shared_memory = Path("/dev/shm")
    if shared_memory.is_dir() and shared_memory.stat().st_dev != tmp_path.stat().st_dev:
        assert check_config(written(tmp_path, f"folders: [{{watch: in, publish: {shared_memory}}}]")) == 0
        assert "  the copies are on another file system than the photos" in capsys.readouterr().out
    assert check_config(written(tmp_path, "policies: {portraits: {}}")) == 0
    assert "no folder is watched: add folders" in capsys.readouterr().out


def test_config_init_writes_the_documented_sample_with_the_folders_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("UNCNN_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    folders = [tmp_path / name for name in ("in", "out", 'my "photos": #1', "Ж")]
    assert init_config(None, folders, force=False) == 0
    file = tmp_path / ".config" / "uncnn" / "config.yaml"
    assert f"wrote {file}" in capsys.readouterr().out
    written_one = load(file)
    assert [(folder.watch, folder.publish) for folder in written_one.folders] == [
        tuple(folders[:2]),
        tuple(folders[2:]),
    ]
    assert written_one.policies == Config().policies
    assert all(folder.is_dir() for folder in folders)
    text = file.read_text()
    assert text.count("# ") >= SAMPLE.read_text().count("# ")
    assert check_config(None) == 0
    with pytest.raises(InitError, match="exists already: edit it, or use --force"):
        init_config(None, folders[:2], force=False)
    assert file.read_text() == text
    assert init_config(None, [], force=True) == 0
    assert (file.parent / "config.yaml.old").read_text() == text
    (folder,) = load(file).folders
    assert (folder.watch.name, folder.publish.name) == ("Outgoing", "Cloaked")
    assert folder.watch.is_dir()


def test_folders_that_root_makes_in_a_home_are_the_persons(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root: it gives folders away")
    (tmp_path / "alice").mkdir()
    os.chown(tmp_path / "alice", 4711, 4712)
    (tmp_path / "alice" / "ours").mkdir()
    home = tmp_path / "alice"
    folders = [home / "Pictures" / "Outgoing", home / "Cloaked", tmp_path / "a", tmp_path / "b"]
    assert init_config(tmp_path / "etc" / "config.yaml", folders, force=False) == 0
    owners = [(each.stat().st_uid, each.stat().st_gid) for each in (folders[0].parent, *folders)]
    assert owners == [(4711, 4712)] * 3 + [(0, 0)] * 2
    assert (tmp_path / "alice" / "ours").stat().st_uid == 0, "only what is made is given away"
    assert (tmp_path / "etc").stat().st_uid == 0
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o755, "the unit of that person reads it"


def test_config_init_refuses_what_would_not_work(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    with pytest.raises(InitError, match="has no publish folder: give pairs of folders"):
        init_config(file, [tmp_path / "in"], force=False)
    with pytest.raises(ConfigError, match="publish outside of watched folders"):
        init_config(file, [tmp_path / "in", tmp_path / "in" / "out"], force=False)
    (tmp_path / "taken").touch()
    with pytest.raises(InitError, match="taken cannot be made"):
        init_config(file, [tmp_path / "taken", tmp_path / "out"], force=False)
    assert not file.exists()


def test_config_check_says_how_copies_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    file = written(tmp_path, "folders: [{watch: in, publish: out}]")
    monkeypatch.setattr(folder_checks, "way_into", lambda _: Way.CLAIM)
    assert check_config(file) == 0
    assert f"  {Way.CLAIM.words}" in capsys.readouterr().out.splitlines()

    def refuse(folder: Path) -> Way:
        raise PublishError("permission", f"{folder} cannot be published into: no")

    monkeypatch.setattr(folder_checks, "way_into", refuse)
    with pytest.raises(ConfigError, match=r"1: folders\[0\].publish: .* cannot be published into: no"):
        check_config(file)
