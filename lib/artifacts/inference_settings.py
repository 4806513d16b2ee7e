"""How probabilities came about: a rule holds for images that were predicted in the same manner."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from lib.config.fields import Config


@dataclass(frozen=True)
class InferenceSettings:
    """What 03 was told, kept in each probability file and in decision.json.

    The first three are None for an ensemble, whose runs have each their own; `weights` is None
    but for an ensemble.
    """

    custom_inference_augmentations: str | None
    mixed_precision_inference: bool | None
    test_time_augmentations: list[str] | None
    presence_head: bool  # whether all networks have one: else presence is that of the largest pixel
    weights: dict[str, float] | None  # of each run by its folder; they sum to 1

    @classmethod
    def of_networks(cls, config: Config, presence_head: bool) -> Self:
        return cls(
            config.custom_inference_augmentations,
            config.mixed_precision_inference,
            config.test_time_augmentations,
            presence_head,
            None,
        )

    @classmethod
    def of_ensemble(cls, config: Config, presence_head: bool) -> Self:
        return cls(None, None, None, presence_head, config.members)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Of what a file holds, other things beside; a setting that it lacks is None or False."""
        found: dict[str, Any] = {item.name: content.get(item.name) for item in fields(cls)}
        return cls(**found | {"presence_head": bool(found["presence_head"])})

    def content(self) -> dict[str, Any]:
        """As a file holds it."""
        return asdict(self)

    def differences(self, other: Self) -> list[str]:
        """Each setting that differs: its name, here, there."""
        here, there = self.content(), other.content()
        return [
            f"{name}: {here[name]}, {there[name]}" for name in here if here[name] != there[name]
        ]
