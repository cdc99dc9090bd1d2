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
    epochs=(6, 2, "passes with (a part of) the trunk learning"),
)


# %% The data; two of the flowers, or textures, take its place where it is not
def two_flowers() -> visus.data.Dataset:
    return visus.data.load("flowers").relabel({"roses": "roses", "tulips": "tulips"})


insects = find(asked, "hymenoptera", two_flowers, lambda: textures(2, 150))
insects = three_parts(asked, insects, val=0.25, most=(160, 80, 200))

# %% The four cases of transfer learning, and which of them this is
pictures = min(insects.split("train").counts().values())
show(
    [
        ("pictures like the pretraining's", "per class", "advice", "what learns, in turn"),
        *(
            (
                "yes" if similar else "no",
                amount,
                advice.case,
                ", ".join(str(step.learns) for step in advice.steps),
            )
            for similar in (True, False)
            for amount in (50, 5000)
            if (advice := advise(similar, amount))
        ),
    ]
)
print(f"Here: {advise(True, pictures).sentence}")

# %% Every depth, judged on val: the test part is not even there
chosen_on = insects.subset([sample.split != "test" for sample in insects])
depths = {
    "the head": {"epochs": 0},
    "head, last stage": {"unfreeze": 1},
    "head, last two stages": {"unfreeze": 2},
    "everything": {"unfreeze": "all"},
    "everything, from scratch": {"weights": "none", "epochs": 2 * asked.epochs},
}
runs = {
    what: visus.train.train(
        chosen_on,
        out=asked.out / what.replace(",", "").replace(" ", "-"),
        **{"epochs": asked.epochs, **settings},
        model=asked.model,
        size=(asked.size, asked.size),
        variants=1 if asked.quick else 4,
        seed=asked.seed,
    )
    for what, settings in depths.items()
}
accuracy = {what: Estimate(**run.record["results"]["accuracy"]) for what, run in runs.items()}
show(
    [
        ("what learns", "accuracy on val", "seconds"),
        *((what, accuracy[what], f"{run.record['seconds']:.0f}") for what, run in runs.items()),
    ]
)

# %% The best of them meets the test part
best = max(accuracy, key=lambda what: accuracy[what].value)
test = insects.split("test")
scores, _ = visus.predict.Predictor(runs[best].folder).scores(test)
judged = visus.evaluate.evaluate(test.labels(), scores, insects.class_names)
compare(
    asked,
    Line(
        f"best depth: {best}",
        judged.figures["accuracy"],
        judged.majority_accuracy.value,
        "-",
        accepted=0.85,
    ),
)
