"""Eight ways downhill: LeNet-5 learns the same digits with every optimiser.

    python examples/optimisers.py --quick
    python examples/optimisers.py --epochs 10

The net, its first weights and the order of the digits are the same each time. Only the rule that makes a step
of a gradient differs, each with the rate that Keras gives it: for the plain ones 0.01, for the adaptive 0.001.
"""

# %% What is asked for
import numpy as np
from _program import Line, arguments, compare, find, show, small_digits, three_parts

import visus
from visus.draw import plots
from visus.structures import Estimate

asked = arguments(__doc__, epochs=(3, 3, "passes over the pictures"))

# %% The data; test is left alone, because nothing is claimed about it
digits = three_parts(asked, find(asked, "mnist", small_digits))
train, val = digits.split("train"), digits.split("val")

# %% Eight trainings in plain Keras: a classifier of visus is a Keras model
rules = {
    "SGD": "sgd",
    "momentum": {"class_name": "SGD", "config": {"momentum": 0.9}},
    "Nesterov": {"class_name": "SGD", "config": {"momentum": 0.9, "nesterov": True}},
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
    "RMSprop": "rmsprop",
    "Adam": "adam",
    "Nadam": "nadam",
}
histories = {}
for name, rule in rules.items():
    model = visus.models.create("classify/lenet-5", class_names=digits.class_names, seed=asked.seed)
    model.compile(optimizer=rule, metrics=["accuracy"])
    learned = visus.data.Pipeline(train, model.image_spec, batch_size=32, shuffle=True, seed=asked.seed)
    judged = visus.data.Pipeline(val, model.image_spec, batch_size=100)
    history = model.fit(
        learned.dataset(),
        steps_per_epoch=learned.steps,
        epochs=asked.epochs,
        validation_data=judged.dataset(),
        validation_steps=judged.steps,
        shuffle=False,  # the stream is shuffled already
        verbose=0,
    ).history
    histories[name] = [dict(zip(history, values)) for values in zip(*history.values())]
    print(f"{name:10} {histories[name][-1]['val_accuracy']:.1%}", flush=True)

# %% Side by side
plots.save(plots.compare_histories(histories, "val_loss"), asked.out / "val_loss.png")
plots.save(plots.compare_histories(histories, "loss"), asked.out / "loss.png")
order = sorted(histories, key=lambda name: histories[name][-1]["loss"])
table = [("", "loss", "loss on val", "accuracy on val")]
for name in order:
    last = histories[name][-1]
    table.append((name, last["loss"], last["val_loss"], last["val_accuracy"]))
show(table)

# %% The comparison: an optimiser is there to bring the loss down, so that is what ranks them
finite = np.mean([np.isfinite([list(epoch.values()) for epoch in each]).all() for each in histories.values()])
upper = sum(name in order[:4] for name in ("Adam", "Nadam")) / 2
compare(
    asked,
    Line("curves that stay finite", Estimate(float(finite)), 0.0, "- (Planche & Andres)", 1.0, above=1.0),
    Line("Adam, Nadam in the upper half", Estimate(upper), 0.5, "- (Planche & Andres)", 1.0, above=0.5),
)
