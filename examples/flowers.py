"""Flowers: a net that has seen a million photographs learns five flowers from a few hundred.

    python examples/flowers.py --quick
    python examples/flowers.py                               # the 3,670 photographs of tf_flowers
    python examples/flowers.py --model classify/xception     # the net of the book; its weights are downloaded

Transfer learning in two phases. First the pretrained trunk is frozen and only a new head learns: what the
trunk says never changes, so it is computed once, and an epoch takes a fraction of a second. Then all of it is
tuned at a small rate, on pictures that are cut, turned and lit a little differently each time.
"""

# %% What is asked for
from _program import Line, arguments, compare, find, textures, three_parts

import visus
from visus.data.augment import augmentation_sheet, policy
from visus.structures import ImageSpec

asked = arguments(
    __doc__,
    model=("classify/efficientnet-lite0", "classify/efficientnet-lite0", "a name from `visus models`"),
    size=(224, 160, "height and width of the pictures"),
    epochs=(6, 0, "passes with all of the net learning, after the head"),
)

# %% The data: a tenth is kept for the end, and 15 % choose the best epoch
flowers = find(asked, "flowers", lambda: textures(5, 80))
flowers = three_parts(asked, flowers, test=0.1, val=0.15, most=(500, 120, 250))

# %% What the net will see: in each row a photograph, then versions of it
versions = policy("standard", class_names=flowers.class_names)
spec = ImageSpec(asked.size, asked.size)
visus.image.write(asked.out / "sheet.png", augmentation_sheet(flowers.split("train"), versions, spec))

# %% Training
run = visus.train.train(
    flowers,
    out=asked.out / "run",
    model=asked.model,
    size=(asked.size, asked.size),
    epochs=asked.epochs,
    policy="standard",
    variants=1 if asked.quick else 4,
    seed=asked.seed,
)

# %% The comparison
claimed = "> 80 % with the head alone, about 92 % (Xception, Géron, ch. 14)"
compare(asked, Line.of(run, asked.model, claimed, accepted=0.88, above=0.4))
