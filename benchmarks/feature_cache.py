"""An epoch of the head: on cached features, and through the frozen trunk in the graph.

    VISUS_DATA=... python -m benchmarks.feature_cache

Both are Keras' `fit` on the same 1,000 flowers at 224 pixels with the same head; the second is what one writes without
a cache. The pictures are decoded already in both.
"""

from __future__ import annotations

import time

import keras

from benchmarks.__main__ import require
from visus import data, models
from visus.data.pipeline import Pipeline
from visus.train.features import FeatureStream, cached_features, compile_trunk, head_model


def main() -> None:
    import tempfile
    from pathlib import Path

    from visus.data.store import PictureStore

    require("feature_cache")
    dataset = data.load("flowers").split("train")
    model = models.create("efficientnet-lite0", class_names=dataset.class_names)
    store = PictureStore.build(dataset, shorter_side=224)
    pipeline = Pipeline(dataset, model.image_spec, batch_size=32, pictures=store)

    model.trunk.trainable = False
    model.compile("adam", metrics=["accuracy"])
    arguments = {"steps_per_epoch": pipeline.steps, "verbose": 0, "shuffle": False}
    model.fit(pipeline.dataset(), epochs=1, **{**arguments, "steps_per_epoch": 1})
    begin = time.perf_counter()
    model.fit(pipeline.dataset(), epochs=1, **arguments)
    uncached = time.perf_counter() - begin

    trunk = compile_trunk(model)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        features = cached_features(trunk, [pipeline], Path(folder), {})["features"]
        once = time.perf_counter() - begin
    head = head_model(model)
    head.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    stream = FeatureStream(features, dataset.targets(), 32, shuffle=True)
    arguments["steps_per_epoch"] = stream.steps
    head.fit(stream.dataset(), epochs=1, **arguments)
    begin = time.perf_counter()
    head.fit(stream.dataset(stream.steps), epochs=5, **arguments)
    cached = (time.perf_counter() - begin) / 5
    print(f"epoch through the frozen trunk {uncached:8.2f} s")
    print(f"epoch on cached features       {cached:8.3f} s   ({uncached / cached:.0f} times faster)")
    print(f"filling the cache, once        {once:8.2f} s   ({trunk.kind})")


if __name__ == "__main__":
    main()
