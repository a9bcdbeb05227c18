"""What a score says of two faces: how many times likelier it is for one person than for two, and who is named wrongly.

A card holds it, fitted by `uncnn.exporters.calibration.confidence`. It goes by leads, see `cohort`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

if TYPE_CHECKING:  # a card is read by commands that do not compute
    from uncnn.plugins.geometry import Floats

DIGITS: Final = 4  # significant ones, of what a card says


def rounded(value: float) -> float:
    """Return a number with as many digits as a card has."""
    return float(f"{value:.{DIGITS}g}") + 0.0  # no -0.0


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Curve(_Strict):
    """The natural logarithm of a likelihood ratio by lead: straight lines between knots, level beyond them."""

    leads: Annotated[tuple[float, ...], Field(min_length=2)]
    log_ratios: tuple[float, ...]

    @model_validator(mode="after")
    def _never_falls(self) -> Curve:
        if len(self.leads) != len(self.log_ratios):
            raise ValueError(f"{len(self.leads)} leads and {len(self.log_ratios)} log_ratios: give one for each")
        if sorted(set(self.leads)) != list(self.leads):
            raise ValueError("the leads must rise")
        if sorted(self.log_ratios) != list(self.log_ratios):
            raise ValueError("the log_ratios must not fall: a closer face is never less likely to be the same person's")
        return self

    def at(self, leads: Floats) -> Floats:
        """Return the logarithm of the likelihood ratio of each lead."""
        import numpy as np

        ratios: Floats = np.interp(leads, self.leads, self.log_ratios)
        return ratios


class Tail(_Strict):
    """The lead of the nearest of `gallery` other people: beyond `start` a generalised Pareto distribution."""

    gallery: PositiveInt
    share: Annotated[float, Field(gt=0, lt=1)]  # of the faces of strangers have somebody beyond `start`
    start: float
    scale: PositiveFloat
    shape: Annotated[float, Field(gt=-1, lt=1)]

    def threshold(self, rate: float, names: int) -> float:
        """Return the lead at which the share `rate` of strangers is given one of so many `names`.

        The nearest of n people is the nearest of n / `gallery` such galleries, so that a stranger escapes all of them
        with the chance of escaping one to the power of their number. Where that lies before `start`, `start` it is.
        """
        import numpy as np

        of_one = -np.expm1(np.log1p(-rate) * self.gallery / names)
        ratio = max(self.share / of_one, 1.0)
        grown = np.log(ratio) if abs(self.shape) < 1e-6 else (ratio**self.shape - 1) / self.shape
        return float(self.start + self.scale * grown)


class Strangers(_Strict):
    """The statistics that people who do not exist are drawn from, see `uncnn.exporters.calibration.strangers`."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the file beside the model
    drawn: Annotated[tuple[float, ...], Field(min_length=2)]  # leads of those who are drawn, rising, ...
    real: tuple[float, ...]  # ... and of real people, at the same shares

    @model_validator(mode="after")
    def _rising(self) -> Strangers:
        if len(self.drawn) != len(self.real):
            raise ValueError(f"{len(self.drawn)} values of drawn and {len(self.real)} of real: give as many")
        if any(sorted(set(values)) != list(values) for values in (self.drawn, self.real)):
            raise ValueError("drawn and real must rise")
        return self

    def as_real(self, leads: Floats) -> Floats:
        """Return the lead of other people that is as rare as this one is of those who were drawn.

        Real people have lookalikes more often than any that are drawn.
        """
        import numpy as np

        low, high = leads - self.drawn[0] + self.real[0], leads - self.drawn[-1] + self.real[-1]
        within = np.interp(leads, self.drawn, self.real)
        mapped: Floats = np.where(leads < self.drawn[0], low, np.where(leads > self.drawn[-1], high, within))
        return mapped


class Confidence(_Strict):
    """All that is needed to say how sure a recogniser may be of a name; curves by how many photos tell of a person."""

    fitted_on: str
    ordinary: Annotated[dict[PositiveInt, Curve], Field(min_length=1)]
    cloaked: dict[PositiveInt, Curve] = Field(default_factory=dict)  # of cloaked photos, to whom knows that they are
    nearest: Tail | None = None
    strangers: Strangers

    @model_validator(mode="after")
    def _of_single_photos(self) -> Confidence:
        if 1 not in self.ordinary or (self.cloaked and 1 not in self.cloaked):
            raise ValueError("a curve for people known from 1 photo is needed")
        return self

    def curve(self, photos: int, cloaked: bool) -> Curve:
        """Return the curve for a person known from so many photos, or from the next smaller number there is one for."""
        curves = self.cloaked if cloaked and self.cloaked else self.ordinary
        return curves[max(number for number in curves if number <= photos)]
