"""Clothes: a basic convolutional net learns Fashion-MNIST.

    python examples/fashion.py --quick
    python examples/fashion.py                               # all 60,000 pictures: an hour on two cores

Fashion-MNIST (Xiao et al., 2017) has the size of MNIST and is much harder: what tells a shirt from a coat at
28 x 28 pixels? The net widens from 64 to 256 maps while the picture shrinks from 28 to 3 pixels, and forgets
half of what its dense layers say in each step (dropout).
"""

# %% What is asked for
from _program import Line, arguments, compare, evaluation, find, show, textures, three_parts

import visus

asked = arguments(
    __doc__,
    model=("classify/fashion", "classify/fashion", "a name from `visus models`"),
    epochs=(8, 4, "passes over changed pictures"),
    policy=("light", "none", "augmentation: none, light, standard or strong"),
    finish=(3, 1, "passes over the pictures as they are, at the end"),
)

# %% The data; textures take its place where it is not
clothes = find(asked, "fashion_mnist", lambda: textures(4, 500, side=28))
clothes = three_parts(asked, clothes, most=(800, 200, 500))

# %% Training: nothing is pretrained here, so all of the net learns from the start
same = {"model": asked.model, "seed": asked.seed, "batch_size": 32, "label_smoothing": 0.0}
first = visus.train.train(clothes, out=asked.out / "first", epochs=asked.epochs, policy=asked.policy, **same)

# %% Changed pictures keep it from learning by heart, but the test shows none: it ends with pictures as they are
run = visus.train.train(
    clothes,
    out=asked.out / "run",
    weights=str(first.folder / "model.keras"),
    epochs=asked.finish,
    learning_rate=5e-4,
    policy="none",
    **same,
)

# %% Which clothes look alike? (The confusion matrix in run/report.html shows all of them.)
judged = evaluation(run)
show(
    [
        ("is", "taken for", "times"),
        *((c["actual"], c["predicted"], c["count"]) for c in judged["confused"][:5]),
    ]
)

# %% The comparison
compare(asked, Line.of(run, asked.model, "> 92 % (Géron, ch. 14)", accepted=0.91, above=0.3))
