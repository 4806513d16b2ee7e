"""Each file of a finished run cut off at 20 places, and single bits of it turned over."""

import io
import random
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from lib.config.command_line import require_unchanged
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.runtime.errors import InputError
from tests.conftest import configured, step
from tests.hammer.runs import Scene, hashes
from tests.hammer.table import Try

TO_LOOK_AT = (".png", ".html")  # which no step reads
CUTS = 20
READERS = (2, 3, 4)  # the steps that read what the ones before have left


def torn(folder: Path, random: random.Random) -> Iterator[Try]:
    """Each file once at 20 places, an empty file among them; in no order."""
    scene = finished(folder)
    cuts = [(name, place) for name in names_of(scene) for place in places(scene, name, random)]
    random.shuffle(cuts)
    for name, place in cuts:
        scene.back_to(4)
        content = (scene.run / name).read_bytes()[:place]
        yield damaged(scene, name, content, f"cut off after {place} bytes")


def places(scene: Scene, name: str, random: random.Random) -> list[int]:
    size = (scene.run / name).stat().st_size
    return [0, *random.sample(range(1, size), min(CUTS, size) - 1)]


def flipped(folder: Path, random: random.Random) -> Iterator[Try]:
    scene = finished(folder)
    while True:
        yield bit_flipped(scene, random)


def finished(folder: Path) -> Scene:
    return Scene(folder, "number_of_workers=0")


def names_of(scene: Scene) -> list[str]:
    """What the finished run holds, which lies there then; but pictures and pages."""
    scene.back_to(4)
    paths = sorted(path for path in scene.run.rglob("[!.]*") if path.is_file())
    return [str(p.relative_to(scene.run)) for p in paths if p.suffix not in TO_LOOK_AT]


def bit_flipped(scene: Scene, random: random.Random) -> Try:
    """One bit of one file."""
    name = random.choice(names_of(scene))
    content = bytearray((scene.run / name).read_bytes())
    bit = random.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    return damaged(scene, name, bytes(content), f"bit {bit}")


def damaged(scene: Scene, name: str, content: bytes, how: str) -> Try:
    """How the steps take the damage to the file.

    Either one of them refuses by its name, or they all end with what was there before.
    """
    scene.back_to(4)
    if name.endswith("state.pt"):  # which is only read where there is no model yet
        (scene.run / name).with_name("model.pt").unlink()
    (scene.run / name).write_bytes(content)
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            for number in READERS:
                step(number).main(_config(scene, name))
    except InputError as error:
        # Of fold0/checksums.json: "fold0/model.pt ...: it, or checksums.json beside it, is ...".
        named = all(part in str(error) for part in Path(name).parts)
        return Try(f"{name} {how}", "" if named else f"refused without its name: {error}")
    except Exception as error:
        return Try(f"{name} {how}", f"a traceback: {type(error).__name__}: {error}")
    now = hashes(scene.run)
    other = [key for key, value in scene.hashes[4].items() if now.get(key) != value]
    lost = f"taken silently, and so differ: {', '.join(other)}" if other else ""
    return Try(f"{name} {how}", lost)


def _config(scene: Scene, name: str) -> Config:
    """From the command line, or as the run has them."""
    if name != "config.yaml":
        return configured(scene.words)
    require_unchanged(scene.run / name, begins=False)
    return load_settings(scene.run / name)
