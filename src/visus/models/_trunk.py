"""The contract of a trunk: a network without its head, which gives feature maps by stride."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras

from visus.models.entries import Pretrained
from visus.structures import ImageSpec


class Trunk(keras.Model):  # type: ignore[misc]
    """A picture in, feature maps out: `{stride: (B, height / stride, width / stride, C)}`.

    Abstract. Classifiers, detectors and encoders are handed one. Its input is float32 `(B, h, w, c)` 0..255
    and its first layer normalises, so that the preprocessing of pretrained weights cannot be forgotten. To
    write: a constructor in three banners (layers, functional graph, configuration) that ends in
    `super().__init__`, and `get_config` for its own arguments.

    Args:
        image: The symbolic input.
        maps: Stride (2, 4, 8, 16, 32) -> symbolic feature map, each the last one of its stride.
        image_spec: Size and resize rule of the input.
        pretrained: Where its weights come from, or None.
        name: Name of the model.

    Attributes:
        image_spec: As given.
        pretrained: As given; set by whoever loads weights.
        strides: The keys of the output, rising.
    """

    def __init__(
        self,
        image: keras.KerasTensor,
        maps: dict[int, keras.KerasTensor],
        *,
        image_spec: ImageSpec,
        pretrained: Pretrained | None = None,
        name: str | None = None,
    ) -> None:
        maps = dict(sorted(maps.items()))
        stages, seen = [], set()
        for tensor in maps.values():
            names = [layer.name for layer in keras.Model(image, tensor).layers if layer.name not in seen]
            seen.update(names)
            stages.append(tuple(names))
        super().__init__(image, maps, name=name)
        self.image_spec = image_spec
        self.pretrained = pretrained
        self.strides = tuple(maps)
        self._stages = tuple(stages)

    @property
    def stages(self) -> list[list[str]]:
        """Layer names from the input to the last map; stage i ends in the map of the i-th stride.

        Freezing "up to stage i" freezes every layer that the first i + 1 maps need.
        """
        return [list(stage) for stage in self._stages]

    def get_config(self) -> dict[str, Any]:
        """The arguments that every trunk has; a trunk adds its own."""
        return {
            "image_spec": self.image_spec.to_dict(),
            "pretrained": None if self.pretrained is None else asdict(self.pretrained),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Trunk:
        """A trunk of the same shape, with new weights."""
        config = dict(config)
        config["image_spec"] = ImageSpec(**config["image_spec"])
        if config.get("pretrained") is not None:
            config["pretrained"] = Pretrained(**config["pretrained"])
        return cls(**config)
