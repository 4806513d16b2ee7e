"""fold{k}/state.pt: all that a training needs to go on; state.before.pt: the one before."""

from typing import Any

import torch

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import intact, sync_folder, written_whole

BEFORE, NEW = "state.before.pt", "state.new.pt"


def save_state(config: Config, fold: int, state: dict[str, Any]) -> None:
    """Keeps the one before, which is deleted when the next is whole."""
    path = Run.of(config).state(fold)
    new = path.with_name(NEW)
    with written_whole(new, summed=True) as file:
        torch.save(state, file)
    if path.is_file():
        path.replace(path.with_name(BEFORE))
    new.replace(path)
    sync_folder(path.parent)


def delete_state_before(config: Config, fold: int) -> None:
    """Of a training that is finished, one state is enough."""
    for name in (BEFORE, NEW):
        Run.of(config).state(fold).with_name(name).unlink(missing_ok=True)


def load_state(config: Config, fold: int) -> dict[str, Any] | None:
    """The last state that is whole; says which are not. None where there is none."""
    path = Run.of(config).state(fold)
    for candidate in (path, path.with_name(BEFORE)):
        if not candidate.is_file():
            continue
        if not intact(candidate, noted_as=NEW):
            print(f"{candidate} is damaged and is not used (it is not as it was written)")
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
            return state
        except Exception as error:  # torch.load raises what its many formats raise
            reason = str(error).partition("\n")[0]
            print(f"{candidate} is damaged and is not used ({reason})")
    return None
