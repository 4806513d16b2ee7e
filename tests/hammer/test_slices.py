"""A handful of each kind of fault that the hammer makes for hours."""

import random
from collections.abc import Callable

import pytest

from tests.hammer.changes import changed
from tests.hammer.disks import refused_sync
from tests.hammer.ends import worker_killed
from tests.hammer.kills import kill
from tests.hammer.runs import Scene
from tests.hammer.starts import two_starts
from tests.hammer.table import Try
from tests.hammer.torn import bit_flipped


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("hammer"), "number_of_workers=1", "cache_gib=0")


@pytest.mark.parametrize(
    ("one", "tries"),
    [
        (kill, 1),
        (two_starts, 1),
        (refused_sync, 1),
        (changed, 1),
        (bit_flipped, 2),
        (worker_killed, 1),
    ],
)
def test_a_few_faults_lose_nothing(
    scene: Scene, one: Callable[[Scene, random.Random], Try], tries: int
) -> None:
    source = random.Random(one.__name__)
    found = [one(scene, source) for _ in range(tries)]
    assert [one for one in found if one.lost] == []
