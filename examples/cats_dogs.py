"""Cats and dogs: from scratch, with a frozen trunk in the net, and with the trunk's outputs computed once.

    python examples/cats_dogs.py --quick
    python examples/cats_dogs.py --data cats_and_dogs_filtered

A small net that starts from nothing is little better than guessing. With a pretrained trunk it is much better,
and there are two ways to use one that stays as it is: within the net, where every epoch computes the same
features again, or computed once and kept.
"""

# %% What is asked for
import time

import numpy as np
from _program import Line, arguments, compare, find, in_visus_data, show, textures, three_parts

import visus
from visus.data.formats import file_names
from visus.structures import Estimate
from visus.train.recipes import cache_gain

asked = arguments(
    __doc__,
    model=("classify/efficientnet-lite0", "classify/efficientnet-lite0", "the pretrained net"),
    size=(150, 96, "height and width of the pictures"),
    epochs=(2, 3, "passes of the net from scratch, and with the trunk in the net"),
    head_epochs=(30, 30, "passes of the head on features computed once"),
)
seen = {"size": (asked.size, asked.size), "seed": asked.seed}


# %% The data; two breeds of the Oxford pets, or textures, take its place where it is not
def pets() -> visus.data.Dataset:
    breeds = file_names.read(in_visus_data("pets3", "JPEGImages"), pattern="last_underscore")
    return breeds.relabel({"Bengal": "cat", "american_bulldog": "dog"})


animals = find(asked, "cats_and_dogs", pets, lambda: textures(2, 100))
animals = three_parts(asked, animals, test=0.3)
train, test = animals.split("train"), animals.split("test")

# %% 1. From scratch: three convolutions and a dense layer
scratch = visus.train.train(
    animals, out=asked.out / "scratch", model="classify/cats-dogs", epochs=asked.epochs, **seen
)

# %% 2. The trunk within the net, frozen: every epoch sends all pictures through it
model = visus.models.create(
    asked.model, class_names=animals.class_names, image_size=seen["size"], seed=asked.seed
)
model.trunk.trainable = False
model.compile("adam", metrics=["accuracy"])
batches = visus.data.Pipeline(train, model.image_spec, batch_size=32, shuffle=True, seed=asked.seed)
seconds = []
for epoch in range(asked.epochs):  # the first one also compiles
    begin = time.perf_counter()
    model.fit(batches.dataset(epoch * batches.steps), steps_per_epoch=batches.steps, shuffle=False, verbose=2)
    seconds.append(time.perf_counter() - begin)
scores, _ = visus.predict.Predictor(model).scores(test)
in_graph = visus.evaluate.evaluate(test.labels(), scores, animals.class_names)


# %% 3. What the trunk says, computed once: the first phase of every `visus.train`
def clock(ticks: list[float]):
    from keras.callbacks import LambdaCallback

    return LambdaCallback(on_epoch_end=lambda epoch, logs: ticks.append(time.perf_counter()))


ticks = []
cached = visus.train.train(
    animals,
    out=asked.out / "cached",
    model=asked.model,
    head_epochs=asked.head_epochs,
    epochs=0,
    variants=1,
    callbacks=[clock(ticks)],
    **seen,
)

# %% What is quicker?
in_graph_epoch = min(seconds)
cached_epoch = float(np.median(np.diff(ticks)))
extraction = cached.record["plan"]["view_seconds"] * len(train)
gain = cache_gain(
    asked.head_epochs, in_graph_epoch=in_graph_epoch, extraction=extraction, cached_epoch=cached_epoch
)
table = [("", "an epoch", f"{asked.head_epochs} epochs, all in all")]
table.append(("trunk in the net", f"{in_graph_epoch:.3f} s", f"{gain.in_graph:.1f} s"))
table.append(("trunk computed once", f"{cached_epoch:.3f} s", f"{gain.cached:.1f} s"))
show(table)

# %% The comparison
accuracy, always = in_graph.figures["accuracy"], in_graph.majority_accuracy.value
compare(
    asked,
    Line.of(scratch, "from scratch", "about 69 % in validation (Michelucci)", 0.62, above=None),
    Line("trunk in the net", accuracy, always, "87.4 to 88.2 % (VGG-16, Michelucci)", 0.85),
    Line.of(cached, "trunk computed once", "about 90 % (VGG-16, Michelucci)", 0.85),
    Line(
        "times faster per epoch",
        Estimate(in_graph_epoch / cached_epoch),
        1.0,
        "some 47: 6 s, not 280 (Michelucci)",
        10.0,
        above=4.0,
    ),
)
