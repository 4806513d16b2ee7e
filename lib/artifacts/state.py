"""fold{k}/state.pt: all that a training needs to go on; state.before.pt: the one before."""

from typing import Any

import torch

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole


def save_state(config: Config, fold: int, state: dict[str, Any]) -> None:
    """Keeps the one before, which is deleted when the next is whole."""
    path = Run.of(config).state(fold)
    with written_whole(path.with_name("state.new.pt")) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # so torch's writer calls a full disk
            raise InputError(f"{path}: cannot be written; is the disk full? ({error})") from error
    if path.is_file():
        path.replace(path.with_name("state.before.pt"))
    path.with_name("state.new.pt").replace(path)


def delete_state_before(config: Config, fold: int) -> None:
    """Of a training that is finished, one state is enough."""
    Run.of(config).state(fold).with_name("state.before.pt").unlink(missing_ok=True)


def load_state(config: Config, fold: int) -> dict[str, Any] | None:
    """The last state that is whole; says which are not. None where there is none."""
    path = Run.of(config).state(fold)
    for candidate in (path, path.with_name("state.before.pt")):
        if not candidate.is_file():
            continue
        try:
            state: dict[str, Any] = torch.load(candidate, map_location="cpu", weights_only=True)
            return state
        except Exception as error:  # torch.load raises what its many formats raise
            reason = str(error).partition("\n")[0]
            print(f"{candidate} is damaged and is not used ({reason})")
    return None
