"""Is it a 4? Ten digits become a yes or no, and a yes needs a threshold.

    python examples/is_it_a_four.py --quick
    python examples/is_it_a_four.py --digits 13579           # is it odd?

One digit in ten is a 4, so a net that never says yes is right nine times in ten: accuracy tells nothing. Of
those called a 4, how many are one (precision)? Of the 4s, how many are called one (recall)? Each can be had at
the price of the other. The threshold is chosen on val; the test part tells what it is worth.
"""

# %% What is asked for
import numpy as np
from _program import Line, arguments, compare, find, show, small_digits, three_parts

import visus

asked = arguments(
    __doc__,
    digits=("4", "4", "what counts as a yes"),
    epochs=(6, 12, "passes over the pictures"),
)

# %% The data: ten classes become two
digits = find(asked, "mnist", small_digits)
answers = {name: "yes" if name in asked.digits else "no" for name in digits.class_names}
digits = three_parts(asked, digits.relabel(answers))
yes = digits.class_names.index("yes")

# %% Training
run = visus.train.train(
    digits,
    out=asked.out / "run",
    model="classify/lenet-5",
    epochs=asked.epochs,
    policy="none",
    learning_rate=2e-3,
    batch_size=32,
    label_smoothing=0.0,
    seed=asked.seed,
)

# %% What could be had, on val: the higher the threshold, the surer each yes, and the fewer of them
predictor = visus.predict.Predictor(run.folder)
val, test = digits.split("val"), digits.split("test")
scores, _ = predictor.scores(val)
truth = val.labels() == yes
rows = []
for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
    called = scores[:, yes] >= threshold
    hits = (called & truth).sum()
    rows.append((f"{threshold:.1f}", f"{hits / max(1, called.sum()):.3f}", f"{hits / truth.sum():.3f}"))
show([("threshold", "precision", "recall"), *rows])
chosen = visus.evaluate.choose_threshold(truth, scores[:, yes], "f1")
print(f"Best F1 on val: {chosen.f1:.3f}, at {chosen.value:.3f}.")

# %% The test part
scores, _ = predictor.scores(test)
called = np.eye(2)[np.where(scores[:, yes] >= chosen.value, yes, 1 - yes)]
judged = visus.evaluate.evaluate(test.labels(), called, digits.class_names).per_class[yes]
share = judged.support / len(test)
always = 2 * share / (share + 1)  # the F1 of always saying yes
show([("on the test part", ""), ("precision", judged.precision), ("recall", judged.recall)])
compare(
    asked,
    Line(f"F1 of {asked.digits}", judged.f1, always, "- (an exercise of Planche & Andres)", 0.95, above=0.6),
)
