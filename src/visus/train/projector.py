"""Vectors for TensorBoard's embedding projector, with their labels and thumbnails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_projector(
    folder: str | Path,
    vectors: Any,
    *,
    columns: Mapping[str, Sequence[Any]] | None = None,
    pictures: Any = None,
    name: str = "features",
) -> Path:
    """Writes vectors for TensorBoard's embedding projector.

    Args:
        folder: The log folder; an earlier projector in it is replaced.
        vectors: `(N, D)` floats.
        columns: What to colour and search by: a title and N values each, such as `{"label": names}`.
        pictures: uint8 `(N, h, w, 3)` thumbnails of one size, or None.
        name: Name of the set.

    Returns:
        The path of `projector_config.pbtxt`.

    Raises:
        ValueError: The numbers of vectors, values and pictures differ, or the sprite would exceed 8192
        pixels.
    """
    folder, vectors, columns = Path(folder), np.asarray(vectors, "<f4"), dict(columns or {})
    counts = {"vectors": len(vectors), **{k: len(v) for k, v in columns.items()}}
    if pictures is not None:
        counts["pictures"] = len(pictures)
    if vectors.ndim != 2 or len(set(counts.values())) != 1:
        raise ValueError(
            f"The projector needs vectors (N, D), and N of everything else. Received vectors of shape "
            f"{vectors.shape} and these counts: {counts}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    (folder / f"{stem}.bytes").write_bytes(vectors.tobytes())
    lines = [
        f'  tensor_name: "{stem}"',
        f"  tensor_shape: {len(vectors)}",
        f"  tensor_shape: {vectors.shape[1]}",
    ]
    lines.append(f'  tensor_path: "{stem}.bytes"')
    if columns:
        table = [[re.sub(r"[\t\r\n]+", " ", str(v)) for v in row] for row in zip(*columns.values())]
        titles = [list(columns)] if len(columns) > 1 else []  # a single column has no title
        text = "".join("\t".join(row) + "\n" for row in [*titles, *table])
        (folder / f"{stem}.tsv").write_text(text, "utf-8")
        lines.append(f'  metadata_path: "{stem}.tsv"')
    if pictures is not None:
        pictures = np.asarray(pictures, np.uint8)
        n, height, width = pictures.shape[:3]
        side = int(np.ceil(np.sqrt(n)))
        if side * max(height, width) > 8192:
            raise ValueError(
                f"{n} thumbnails of {height} x {width} exceed a sprite of 8192 pixels: shrink them."
            )
        sprite = np.zeros((side * height, side * width, 3), np.uint8)
        for i, picture in enumerate(pictures):
            y, x = divmod(i, side)
            sprite[y * height : (y + 1) * height, x * width : (x + 1) * width] = picture
        Image.fromarray(sprite).save(folder / f"{stem}.png")
        lines += ["  sprite {", f'    image_path: "{stem}.png"', f"    single_image_dim: {width}"]
        lines += [f"    single_image_dim: {height}", "  }"]
    config = folder / "projector_config.pbtxt"
    config.write_text("embeddings {\n" + "\n".join(lines) + "\n}\n", "utf-8")
    return config
