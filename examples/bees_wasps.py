"""Ants and bees: how much of a pretrained net should learn? Ask the adviser, then try it.

    python examples/bees_wasps.py --quick
    python examples/bees_wasps.py                            # Hymenoptera, 397 photographs

Two small classes, and a net that knows a thousand others. Is it better to freeze it and train a head, to let
its last stages learn, or all of it? Every depth is tried and judged on val; only the best one of them ever sees
the test part. A net from scratch shows what the pretraining is worth.
"""

# %% What is asked for
from _program import Line, arguments, compare, find, show, textures, three_parts

import visus
from visus.structures import Estimate
from visus.train.recipes import advise

asked = arguments(
    __doc__,
    model=("classify/efficientnet-lite0", "classify/efficientnet-lite0", "the pretrained net"),
    size=(224, 96, "height and width of the pictures"),
    depths=(
        "0 1 2 all scratch",
        "0 1",
        "how many stages of the trunk learn with the head",
    ),
    epochs=(6, 2, "passes with a part of the trunk learning"),
)


# %% The data; two of the flowers, or textures, take its place where it is not
def two_flowers() -> visus.data.Dataset:
    return visus.data.load("flowers").relabel({"roses": "roses", "tulips": "tulips"})


insects = find(asked, "hymenoptera", two_flowers, lambda: textures(2, 150))
insects = three_parts(asked, insects, val=0.25, most=(160, 80, 200))

# %% The four cases of transfer learning, and which of them this is
pictures = min(insects.split("train").counts().values())
table = [("pictures like the pretraining's", "per class", "advice", "what learns, in turn")]
for similar in (True, False):
    for amount in (50, 5000):
        advice = advise(similar, amount)
        learns = ", ".join(str(step.learns) for step in advice.steps)
        table.append(("yes" if similar else "no", amount, advice.case, learns))
show(table)
print(f"Here: {advise(True, pictures).sentence}")

# %% Every depth, judged on val: the test part is not even there
chosen_on = insects.subset([sample.split != "test" for sample in insects])
depths = {
    "0": {"epochs": 0},
    "1": {"unfreeze": 1},
    "2": {"unfreeze": 2},
    "all": {"unfreeze": "all"},
    "scratch": {"weights": "none", "epochs": 5 * asked.epochs},
}
runs = {}
for depth in asked.depths.split():
    runs[depth] = visus.train.train(
        chosen_on,
        out=asked.out / f"learning-{depth}",
        model=asked.model,
        size=(asked.size, asked.size),
        variants=1 if asked.quick else 4,
        seed=asked.seed,
        **{"epochs": asked.epochs, **depths[depth]},
    )
accuracy = {depth: Estimate(**run.record["results"]["accuracy"]) for depth, run in runs.items()}
table = [("stages that learn", "accuracy on val", "seconds")]
table += [(depth, accuracy[depth], f"{run.record['seconds']:.0f}") for depth, run in runs.items()]
show(table)

# %% The best of them meets the test part
best = max(accuracy, key=lambda depth: accuracy[depth].value)
test = insects.split("test")
scores, _ = visus.predict.Predictor(runs[best].folder).scores(test)
judged = visus.evaluate.evaluate(test.labels(), scores, insects.class_names)
accuracy, always = judged.figures["accuracy"], judged.majority_accuracy.value
compare(asked, Line(f"stages that learn: {best}", accuracy, always, "-", accepted=0.85))
