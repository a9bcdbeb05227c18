"""The curves of people: more photos tell more, cloaked photos less, and each person counts the same."""

from __future__ import annotations

import numpy as np

from uncnn.exporters.calibration.confidence import PHOTOS, curves
from uncnn.plugins.geometry import Floats
from uncnn.plugins.recognisers.cohort import Cohort


def people(noise: float = 0.8) -> tuple[dict[str, Floats], Floats, Cohort]:
    """Return eight photos each of 40 people, others, and a cohort."""
    generator = np.random.default_rng(0)
    means = generator.normal(size=(40, 48))
    photos = {f"person {number}": mean + noise * generator.normal(size=(8, 48)) for number, mean in enumerate(means)}
    others = np.sqrt(1 + noise**2) * generator.normal(size=(400, 48))
    return photos, others, Cohort(np.sqrt(1 + noise**2) * generator.normal(size=(400, 48)), False)


def test_there_is_a_curve_for_each_number_of_photos():
    known, others, cohort = people()
    found = curves(known, others, cohort, draws=2)
    assert tuple(found) == PHOTOS
    strangest = [np.interp(0.0, curve.log_ratios, curve.leads) for curve in found.values()]
    assert strangest == sorted(strangest), "of many photos a mean is nearer to everybody: the same lead says less"


def test_what_is_asked_about_may_be_cloaked():
    known, others, cohort = people()
    generator = np.random.default_rng(1)
    cloaked = {who: generator.normal(size=(1, 48)) + 0.3 * rows.mean(axis=0) for who, rows in known.items()}
    ordinary, aware = (
        curves(known, others, cohort, draws=2)[1],
        curves(known, others, cohort, probes=cloaked, draws=2)[1],
    )
    assert aware.log_ratios[0] > ordinary.log_ratios[0], "far away proves less of a cloaked face"
    assert aware.log_ratios[-1] < ordinary.log_ratios[-1]


def test_it_comes_out_the_same_each_time():
    known, others, cohort = people()
    assert curves(known, others, cohort, draws=1) == curves(known, others, cohort, draws=1)
