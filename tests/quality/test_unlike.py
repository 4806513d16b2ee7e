"""How unlike an image is to those that a network knows."""

import numpy as np
import pytest

from lib.quality.unlike import (
    LEAST,
    known,
    own_distances,
    own_times_as_far,
    percentile,
    steps_of,
)

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(5, [1, 10, 0.1], (300, 3)).astype(np.float32)
GROUP = np.array([f"p{k // 10}" for k in range(300)])


def test_a_distance_counts_in_spreads_whatever_the_scale_of_a_feature() -> None:
    one = known(FEATURES, GROUP)
    assert one is not None
    away = np.array([5 + 10 * np.eye(3)[k] * [1, 10, 0.1] for k in range(3)])
    assert one.times_as_far(away) * one.usual == pytest.approx([10, 10, 10], rel=0.15)
    assert one.times_as_far(FEATURES.mean(axis=0, keepdims=True)) == pytest.approx([0], abs=0.01)


def test_the_usual_image_is_once_as_far_and_as_many_are_beyond_as_the_percentile_says() -> None:
    times = own_times_as_far(FEATURES, GROUP)
    assert np.median(times) == pytest.approx(1)
    steps = steps_of(times)
    assert steps is not None and len(steps) == 101
    new = known(FEATURES, GROUP)
    assert new is not None
    others = RANDOM.normal(5, [1, 10, 0.1], (4000, 3))
    beyond = percentile(new.times_as_far(others), steps) > 0.9
    assert beyond.mean() == pytest.approx(0.1, abs=0.03)


def test_near_copies_of_an_image_do_not_make_it_usual() -> None:
    """A person who looks otherwise, in fifty frames, is held against the others."""
    strange = np.concatenate([FEATURES, np.full((50, 3), [5, 205, 5], dtype=np.float32)])
    group = np.concatenate([GROUP, np.full(50, "strange")])
    own = own_distances(strange, group)
    assert own[300:].min() > own[:300].max()


def test_few_images_or_one_group_tell_nothing() -> None:
    few = LEAST - 1
    assert known(FEATURES[:few], GROUP[:few]) is None
    assert known(FEATURES, np.full(300, "one")) is None
    assert steps_of(own_times_as_far(FEATURES[:few], GROUP[:few])) is None


def test_a_feature_that_never_varies_and_more_features_than_images_are_borne() -> None:
    many = RANDOM.normal(0, 1, (40, 60))
    many[:, 0] = 7
    one = known(many, np.array([str(k // 2) for k in range(40)]))
    assert one is not None
    far = one.times_as_far(many + 5)
    assert np.isfinite(far).all() and far.min() > 2
