"""Today's models and policies, held against a photo that was published under those of its day."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from uncnn.daemon.audit.released import Released
from uncnn.daemon.config import Config, ConfigError, Protect
from uncnn.daemon.config.overrides import overridden
from uncnn.daemon.config.policies import FacesSection, Policy
from uncnn.daemon.files.publish import PublishError, Snapshot, snapshot
from uncnn.daemon.jobs.duplicates import made_for, made_with
from uncnn.daemon.protect.content import Content
from uncnn.daemon.protect.messages import Judge
from uncnn.daemon.protect.pipeline import decide, people_for, terms_of
from uncnn.daemon.protect.process_engine import ProcessEngine
from uncnn.daemon.verify.keeping import Kept, kept_of
from uncnn.daemon.verify.verdict import Judgement
from uncnn.exporters.registry.store import Roster
from uncnn.plugins.recognisers.cards import Card, CardError, distance, margin_of, value_at

NO_VERDICT: Final = "published before uncnn stored verdicts"


class NotJudgedError(Exception):
    """A photo cannot be judged again; the message says why."""


@dataclass(frozen=True, slots=True)
class Today:
    """What a photo would be judged with if it came now."""

    config: Config
    roster: Roster
    made_with: str  # a digest of the models, the enrolled people and uncnn
    digests: dict[int, tuple[Policy, str]] = field(default_factory=dict)  # of policies, by their identity

    @classmethod
    def of(cls, config: Config, engine: ProcessEngine) -> Today:
        """Return what holds now. Raises RequestError, ProcessDied: the models are not there or broken."""
        return cls(config, engine.roster, made_with(engine.roster))

    def configured(self, photo: Released) -> Policy | None:
        """Return the policy that the configuration has for a photo now, None where its folder is no longer in it."""
        for folder in self.config.folders:
            if folder.watch == photo.watch:
                policy = self.config.policy_of(folder)
                try:
                    return overridden(policy, folder.watch, photo.job.relative)
                except ConfigError:  # `status` says what is wrong with it
                    return policy
        return None

    def is_same(self, photo: Released, policy: Policy | None) -> bool:
        """Return whether a photo was judged by all that it would be judged by now: the verdict would be the same."""
        same_models = photo.job.made_with == made_for(photo.job, self.made_with)
        same_policy = policy is None or photo.job.policy == self.digest(policy)
        return photo.proof is not None and same_models and same_policy

    def digest(self, policy: Policy) -> str:
        """Return that of a policy: there are few, for many photos."""
        known = self.digests.get(id(policy))
        if known is None or known[0] is not policy:
            known = self.digests[id(policy)] = (policy, policy.digest())
        return known[1]

    def linked_by_figures(self, kept: Kept, policy: Policy) -> str:
        """Return which recogniser links a face by today's threshold and margin, by the figures kept; "": none does.

        Only models that are the same bytes now as then have anything to say here.
        """
        then = {model["name"]: model["sha256"] for model in kept.roster["models"]}
        cards = {model.card.name: model.card for model in (*self.roster.judges, *self.roster.surrogates)}
        for face in kept.verdict.required if kept.verdict.protected else ():
            for judgement in face.judgements:
                card = cards.get(judgement.recogniser)
                if card is not None and card.sha256 == then.get(card.name):
                    said = _linked(card, judgement, policy.protect)
                    left, top = (round(edge) for edge in face.face.box[:2])
                    if said:
                        return (
                            f"{card.name} links the face at {left},{top} by its present threshold and margin ({said})"
                        )
        return ""


def policy_then(kept: Kept | None) -> Policy:
    """Return a policy that asks for what was asked then, the usual one where that was not kept."""
    if kept is None:
        return Policy()
    protect = Protect(far=kept.verdict.far, views=kept.verdict.views, margin=kept.verdict.margin)
    return Policy(protect=protect, faces=FacesSection.model_validate(kept.asked))


def read_kept(photo: Released) -> Kept | None:
    """Return the verdict that was kept of a photo, None where there is none that can be read."""
    if photo.proof is None:
        return None
    try:
        return kept_of(*photo.proof)
    except ValueError:
        return None


def judge_again(engine: ProcessEngine, photo: Released, policy: Policy, spool: Path) -> str:
    """Return why a photo would not be published any more, "" where it would, by today's models under `policy`.

    The verifier reads a copy of the original and of what stands in the publish folder. Where nothing was cloaked, the
    published photo serves as its own original, when that is gone.

    Raises:
        NotJudgedError: the original is gone, or another photo now. PublishError: a file cannot be read. RequestError,
        ProcessDied: the verifier failed.
    """
    with tempfile.TemporaryDirectory(dir=spool) as own:
        released = snapshot(photo.publish, photo.relative, Path(own))
        if released.sha256 != photo.job.released_sha256:
            raise NotJudgedError("it was changed while it was checked")
        original = _original(photo, Path(own), released)
        terms = terms_of(policy, people_for(policy), photo.job.decisions)
        verdict = engine.judge(Judge(Content(original.path), Content(released.path), terms))
        decision, reason = decide(policy, verdict)
    if decision == "publish":
        return ""
    return f"it was published as a photo without a face: {reason}" if photo.job.faces == 0 else reason


def _original(photo: Released, own: Path, released: Snapshot) -> Snapshot:
    """Return a copy of the original."""
    try:
        original = snapshot(photo.watch, photo.job.relative, own)
    except PublishError as error:
        if photo.job.faces == 0:
            return released
        raise NotJudgedError(f"its original is gone ({error})") from error
    if original.sha256 == photo.job.sha256:
        return original
    if photo.job.faces == 0:
        return released
    raise NotJudgedError("its original has been changed")


def new_judges(kept: Kept, roster: Roster) -> Iterator[str]:
    """Yield the judges of today that were not asked about a photo, or that were other bytes then."""
    hashes = {model["sha256"] for model in kept.roster["models"] if model["role"] == "judge"}
    yield from (model.card.name for model in roster.judges if model.card.sha256 not in hashes)


def _linked(card: Card, judgement: Judgement, asked: Protect) -> str:
    """Return why a card of today calls the figure of its day a link, "" where it does not."""
    margin = margin_of(card, asked.margin)
    try:
        if not card.links(judgement.after, asked.far, margin):
            return ""
        limit = value_at(card.metric, (1 + margin) * distance(card.metric, card.threshold(asked.far)))
    except CardError as error:
        return str(error)
    return f"{judgement.after:.3f} {'>=' if card.metric == 'cosine' else '<='} {limit:.3f}, {judgement.view}"
