"""Flowers in a minute: `visus train` beside the transfer-learning script that one writes in plain Keras.

    VISUS_DATA=... python -m benchmarks.transfer [--minutes 1]

Both start from the same EfficientNet-Lite0 weights, learn from the same 1,000 pictures and are judged on the same 250.
The plain script is the one of Keras' own guide: `image_dataset_from_directory`, a random flip, the frozen trunk in the
graph, pooling, dropout, a dense layer, Adam; an epoch more as long as the minutes last. TensorFlow is as it is by
itself, without the oneDNN kernels that visus switches on where TensorFlow does not. Both clocks start before the
frameworks are imported. The other peers that come to mind (fastai, Ultralytics' classifier) fetch their weights from
hosts of their own; where these cannot be reached there is nothing to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import require


def plain_keras(folder: Path, seconds: float) -> dict[str, float]:
    begin = time.perf_counter()
    import keras

    from visus import models

    keras.utils.set_random_seed(0)
    load = {"image_size": (224, 224), "batch_size": 32, "label_mode": "int"}
    train = keras.utils.image_dataset_from_directory(folder / "train", seed=0, verbose=False, **load)
    val = keras.utils.image_dataset_from_directory(folder / "val", shuffle=False, verbose=False, **load)
    trunk = models.trunk("classify/efficientnet-lite0", image_size=(224, 224))
    trunk.trainable = False
    image = keras.Input((224, 224, 3))
    x = trunk(keras.layers.RandomFlip("horizontal")(image), training=False)[32]
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    net = keras.Model(image, keras.layers.Dense(len(train.class_names), activation="softmax")(x))
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    epochs, longest = 0, 0.0
    while time.perf_counter() - begin + longest < seconds:
        start = time.perf_counter()
        logs = net.fit(train, validation_data=val, epochs=1, verbose=0).history
        epochs, longest = epochs + 1, max(longest, time.perf_counter() - start)
    return {
        "accuracy": logs["val_accuracy"][-1],
        "epochs": epochs,
        "seconds": time.perf_counter() - begin,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    require("transfer")
    flowers = Path(os.environ["VISUS_DATA"]) / "flowers5"
    if asked.plain:
        print(json.dumps(plain_keras(flowers, 60 * asked.minutes)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = {}
        for name, command in {
            "visus train": [
                "visus", "train", str(flowers), "--minutes", str(asked.minutes), "--out", f"{folder}/run", "--json"
            ],
            "plain Keras": ["benchmarks.transfer", "--plain", "--minutes", str(asked.minutes)],
        }.items():  # fmt: skip
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", *command],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            accuracy = json.loads(done.stdout)["accuracy"]
            value = accuracy["value"] if isinstance(accuracy, dict) else accuracy
            rows[name] = (value, time.perf_counter() - begin)
    print(f"{'':14}{'accuracy':>10}{'seconds, from the start of the process to its end':>52}")
    for name, (value, seconds) in rows.items():
        print(f"{name:14}{value:10.3f}{seconds:52.1f}")


if __name__ == "__main__":
    main()
