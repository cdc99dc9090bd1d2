"""Handwritten digits: LeNet-5 learns to read MNIST.

    python examples/digits.py --quick
    python examples/digits.py                                # all 60,000 digits
    python examples/digits.py --model classify/mlp-128       # a dense net instead

LeNet-5 (LeCun et al., 1998) has 61,706 weights, a thousandth of what later nets have, and is still hard to
beat on digits once it has seen them slanted, shifted and stretched a little. Mirror images are no digits:
the domain `text` knows that.
"""

# %% What is asked for
from _program import Line, arguments, compare, find, small_digits, three_parts

import visus

CLAIMS = {
    "classify/lenet-5": ("> 98.5 % (Planche & Andres, some 60 epochs)", 0.985),
    "classify/mlp-128": ("about 97 % (Planche & Andres)", 0.97),
    "classify/mnist-b": ("99.3 % (Michelucci)", 0.992),
}
asked = arguments(
    __doc__,
    model=("classify/lenet-5", "classify/lenet-5", f"one of {', '.join(CLAIMS)}, or any other"),
    epochs=(15, 12, "passes over the pictures"),
    policy=("light", "none", "augmentation: none, light, standard or strong"),
)


# %% The data; the 1,797 small digits that scikit-learn brings take its place where it is not
digits = three_parts(asked, find(asked, "mnist", small_digits))

# %% Training: everything learns, on digits that are a little different each time
run = visus.train.train(
    digits,
    out=asked.out / "run",
    model=asked.model,
    epochs=asked.epochs,
    seed=asked.seed,
    batch_size=32,
    learning_rate=2e-3,
    domain="text",
    policy=asked.policy,
    label_smoothing=0.0,
)

# %% The test digits have had no say in anything so far
claimed, accepted = CLAIMS.get(asked.model, ("-", 0.985))
compare(asked, Line.of(run, asked.model, claimed, accepted, above=0.6))
