"""`.uncnn.yaml`: what a folder may say of its photos' policy, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from scene import Scene

from uncnn.daemon.config import ConfigError, Policy
from uncnn.daemon.config.overrides import overridden
from uncnn.daemon.ledger import Ledger, State
from uncnn.daemon.output import ERROR, OK

PHOTO = Path("trip/day/a.jpg")


def put(watch: Path, place: str, text: str) -> Path:
    file = watch / place / ".uncnn.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_without_files_the_policy_is_itself(tmp_path: Path) -> None:
    policy = Policy()
    assert overridden(policy, tmp_path, PHOTO) is policy


def test_the_nearest_file_has_the_last_word_and_says_only_what_it_says(tmp_path: Path) -> None:
    put(tmp_path, "", "attack: {strength: strong}\nno_face: hold\n")
    put(tmp_path, "trip", "attack: {strength: utmost}\nfaces: {smallest_px: 20}\noutput: {format: webp}\n")
    put(tmp_path, "elsewhere", "no_face: skip\n")
    base = Policy.model_validate({"attack": {"name": "pgd", "steps": 7}, "output": {"name": "{stem} cloaked{suffix}"}})
    found = overridden(base, tmp_path, PHOTO)
    assert (found.attack.strength, found.attack.name, found.attack.parameters) == ("utmost", "pgd", {"steps": 7})
    assert (found.no_face, found.faces.smallest_px) == ("hold", 20)
    assert found.released_name(PHOTO) == Path("trip/day/a cloaked.webp")
    assert found.digest() != base.digest()
    assert overridden(base, tmp_path, Path("other.jpg")).attack.strength == "strong"


def test_more_proof_may_be_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "", "protect: {far: 1.0e-2, views: [as-is, jpeg-75, half-size, blur-1, jpeg-50]}\n")
    found = overridden(Policy(), tmp_path, PHOTO)
    assert (found.protect.far, found.protect.views) == (1e-2, ("as-is", "jpeg-75", "half-size", "blur-1", "jpeg-50"))


@pytest.mark.parametrize(
    ("own", "said", "allowed"),
    [
        ("calibrated", "calibrated", True),
        ("calibrated", 1.0, False),  # how wide the calibrated ones are, the file cannot know
        ("calibrated", 0.0, False),
        (0.1, "calibrated", False),
        (0.1, 0.05, False),
        (0.1, 0.1, True),
        (0.1, 0.2, True),
    ],
)
def test_a_margin_may_only_be_raised(tmp_path: Path, own: float | str, said: float | str, allowed: bool) -> None:
    policy = Policy.model_validate({"protect": {"margin": own}})
    put(tmp_path, "", f"protect: {{margin: {said}}}\n")
    if allowed:
        assert overridden(policy, tmp_path, PHOTO).protect.margin == said
    else:
        with pytest.raises(ConfigError, match=r"protect\.margin: .* may ask for less proof than the policy's"):
            overridden(policy, tmp_path, PHOTO)


def test_faces_at_any_angle_may_be_asked_for_and_not_forgone(tmp_path: Path) -> None:
    file = put(tmp_path, "", "faces: {rotated: true}\n")
    asked = overridden(Policy(), tmp_path, PHOTO)
    assert asked.faces.rotated is True
    file.write_text("faces: {smallest_px: 20, who: all}\n")
    assert overridden(asked, tmp_path, PHOTO).faces.rotated
    file.write_text("faces: {rotated: false}\n")
    assert not overridden(Policy(faces={"rotated": False}), tmp_path, PHOTO).faces.rotated  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match="false looks for fewer rotated faces than the policy's auto: use auto or true"
    ):
        overridden(Policy(), tmp_path, PHOTO)
    file.write_text("faces: {rotated: auto}\n")
    with pytest.raises(ConfigError, match="auto looks for fewer rotated faces than the policy's true: use true"):
        overridden(asked, tmp_path, PHOTO)


def test_a_photo_that_the_policy_keeps_stays_kept(tmp_path: Path) -> None:
    put(tmp_path, "", "no_face: publish\n")
    assert overridden(Policy(), tmp_path, PHOTO).no_face == "publish"
    with pytest.raises(ConfigError, match="publish passes over photos unlike the policy's hold: use hold"):
        overridden(Policy(no_face="hold"), tmp_path, PHOTO)


REFUSED = [
    ("publish: /srv/web\n", 1, "publish", "cannot choose where"),
    ("attack: {name: other}\n", 1, "attack.name", "other: a folder cannot choose an attack (here it is veil)"),
    ("attack: {name: pgd}\n", 1, "attack.name", "pgd: a folder cannot choose an attack (here it is veil)"),
    ("attack:\n  steps: 0\n", 2, "attack.steps", "0: a folder cannot set this (here it is not set)"),
    ("attack: {strength: subtle}\n", 1, "attack.strength", "the policy's balanced: use balanced or strong or utmost"),
    ("output: {name: '{stem}-x{suffix}'}\n", 1, "output.name", "cannot choose what photos are called"),
    ("output: {name: '{'}\n", 1, "output.name", "cannot choose what photos are called"),
    ("output: {quality: 1}\n", 1, "output.quality", "1 may spoil the photo more than the policy's same: use same"),
    ("output: {permissions: everyone}\n", 1, "output.permissions", "policy's usual: use usual or private"),
    ("output: {times: same}\n", 1, "output.times", "same says when the photo was taken, unlike the policy's now"),
    ("unprotected: publish-anyway\n", 1, "unprotected", "publish-anyway lets photos go that are kept by the policy's"),
    ("escalate: []\n", 1, "escalate", "[] does not begin with the policy's [strong, utmost]: keep these"),
    ("escalate: [strong, utmost, subtle]\n", 1, "escalate", "'subtle' is weaker than what comes before it"),
    ("protect: {far: 1.0e-4}\n", 1, "protect.far", "0.0001 asks for less proof than the policy's 0.001: use 0.001 or"),
    ("protect: {views: [as-is]}\n", 1, "protect.views", "[as-is] leaves out 'jpeg-75' of the policy's [as-is, jpeg-75"),
    ("faces: {smallest_px: 25}\n", 1, "faces.smallest_px", "faces alone than the policy's 24: use 24 or less"),
    ("faces: {who: only-enrolled}\n", 1, "faces.who", "the policy's all: use all"),
    ("metadata: camera\n", 1, "metadata", "camera says more of the photo than the policy's none: use none"),
    ("no_face: skip\n", 1, "no_face", "skip passes over photos unlike the policy's publish: use publish or hold"),
    ("uncertain: publish\n", 1, "uncertain", "the policy's cloak: use cloak or hold"),
    ("no_face: publish\nno_face: hold\n", 2, "no_face", "remove one"),
    ("colour: red\n", 1, "colour", "unknown key"),
    ("- a list\n", 1, "", "section of keys"),
    ("{\n", 2, "", "is not valid YAML"),
]


@pytest.mark.parametrize(("text", "line", "place", "words"), REFUSED)
def test_what_it_may_not_say_is_refused_with_its_place(
    tmp_path: Path, text: str, line: int, place: str, words: str
) -> None:
    file = put(tmp_path, "trip", text)
    with pytest.raises(ConfigError) as caught:
        overridden(Policy(), tmp_path, PHOTO)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == (file, line, place)
    assert words in problem.message


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "real", "no_face: hold\n").rename(tmp_path / "elsewhere.yaml")
    (tmp_path / ".uncnn.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(ConfigError, match="not a regular file"):
        overridden(Policy(), tmp_path, PHOTO)


def test_a_run_goes_by_it_and_takes_nothing_where_it_is_wrong(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.put("plain.jpg", "no face")
    scene.put("careful/a.jpg", "no face")
    put(scene.watch, "careful", "no_face: hold\n")
    scene.put("wrong/a.jpg", "good")
    file = put(scene.watch, "wrong", "unprotected: publish-anyway\n")
    assert scene.run() == ERROR
    assert scene.states() == {"plain.jpg": State.PUBLISHED, "careful/a.jpg": State.HELD}
    assert ".uncnn.yaml:1: unprotected" in capsys.readouterr().out
    file.unlink()
    (scene.watch / "careful" / ".uncnn.yaml").unlink()
    assert scene.run() == OK
    assert set(scene.published()) == {"plain.jpg", "careful/a.jpg", "wrong/a.jpg"}
    scene.check()


def reprocess(scene: Scene) -> None:
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        ledger.folders.reprocess()


@pytest.mark.slow
def test_what_is_asked_to_be_done_again_is_done_under_each_photos_own_policy(scene: Scene) -> None:
    scene.put("a.jpg", "good a")
    scene.put("trip/b.jpg", "good b")
    scene.put("dropped.jpg", "unprotected")
    scene.run()
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        ledger.drop(scene.jobs()["dropped.jpg"])
    put(scene.watch, "trip", "output: {format: png}\n")
    assert scene.run() == OK
    assert set(scene.published()) == {"a.jpg", "trip/b.jpg"}
    for _ in range(2):  # what is done by now under its own policy is not done again
        reprocess(scene)
        assert scene.run() == OK
        assert set(scene.published()) == {"a.jpg", "trip/b.jpg", "trip/b.png"}
    scene.configure("{no_face: hold, attack: {strength: strong}}")
    reprocess(scene)
    assert scene.run() == OK
    with Ledger(scene.state / "ledger.sqlite3") as ledger:
        done = sorted(str(job.relative) for job in ledger.jobs())
    assert done == ["a.jpg", "a.jpg", "dropped.jpg", "trip/b.jpg", "trip/b.jpg", "trip/b.jpg"]
