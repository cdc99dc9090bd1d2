"""Pneumonia: find the sick in chest X-rays. For learning only, not for diagnosis.

    python examples/pneumonia.py --quick
    python examples/pneumonia.py --data chest_xray
    python examples/pneumonia.py --data chest_xray --model classify/pneumonia --size 256     # the net of the book

Where a miss is dearer than a false alarm, accuracy is the wrong question. The threshold on the probability of
illness is chosen on val, so that nearly all of the sick are found there; the test part then tells how many
really are (sensitivity), and how many of the healthy are left in peace (specificity).
"""

# %% What is asked for
import numpy as np
from _program import Line, arguments, compare, find, show, textures, three_parts

import visus

asked = arguments(
    __doc__,
    model=("classify/efficientnet-lite0", "classify/efficientnet-lite0", "a name from `visus models`"),
    size=(224, 160, "height and width of the pictures"),
    epochs=(6, 0, "passes with all of the net learning"),
    sensitivity=(0.95, 0.95, "share of the sick that must be found on val"),
)
print("For learning only, not for diagnosis.")


# %% The data; solar cells, of which some are "sick", or textures, take its place where it is not
def solar_cells() -> visus.data.Dataset:
    return visus.data.load("elpv")


xrays = find(asked, "pneumonia", solar_cells, lambda: textures(2, 200))
xrays = three_parts(asked, xrays, val=0.2, most=(500, 200, 400))
healthy, sick = 0, 1
print(f"To be found: {xrays.class_names[sick]}.")

# %% Training: the sick and the healthy weigh the same, however many there are
run = visus.train.train(
    xrays,
    out=asked.out / "run",
    model=asked.model,
    size=(asked.size, asked.size),
    epochs=asked.epochs,
    variants=1 if asked.quick else 4,
    domain="medical",
    class_weights="balanced",
    seed=asked.seed,
)

# %% The threshold, chosen on val
predictor = visus.predict.Predictor(run.folder)
val, test = xrays.split("val"), xrays.split("test")
scores, _ = predictor.scores(val)
chosen = visus.evaluate.choose_threshold(
    val.labels() == sick, scores[:, sick], "recall", target=asked.sensitivity
)
print(
    f"On val, {chosen.recall:.1%} of the sick have a probability of at least {chosen.value:.3f}, "
    f"and {chosen.fpr:.1%} of the healthy."
)

# %% ... and what it does to pictures that had no say in it
scores, _ = predictor.scores(test)
called = np.eye(2)[(scores[:, sick] >= chosen.value).astype(int)]
ranked = visus.evaluate.evaluate(test.labels(), scores, xrays.class_names)
judged = visus.evaluate.evaluate(test.labels(), called, xrays.class_names)
sensitivity, specificity = judged.per_class[sick].recall, judged.per_class[healthy].recall
show(
    [
        ("on the test part", ""),
        ("sensitivity", sensitivity),
        ("specificity", specificity),
        ("area under the ROC curve", ranked.figures["roc_auc"]),
    ]
)

# %% The comparison
claimed = "95.3 % in validation at best, 79.7 % at the end (Ansari)"
compare(
    asked,
    Line("balanced accuracy", judged.figures["balanced_accuracy"], 0.5, claimed, 0.75),
    Line("sensitivity", sensitivity, 0.5, "-", 0.9),
)
print("For learning only, not for diagnosis.")
