"""Your own classes: from a folder of pictures to a model that you can use.

    python examples/own_classes.py --data places             # places/beach, places/mountain, places/city
    python examples/own_classes.py --quick

Sort a hundred pictures of each class into a folder of its own. The rest is this file: look whether the data is
sound, train, judge, and use what came out.
"""

# %% What is asked for
from _program import Line, arguments, compare, find, refuse, show, textures, three_parts

import visus
from visus.data.survey import survey
from visus.data.survey.page import survey_page

asked = arguments(
    __doc__,
    epochs=(6, 0, "passes with all of the net learning"),
    size=(224, 128, "height and width of the pictures"),
)

# %% The data
if asked.data:
    pictures = visus.data.load(asked.data)
elif asked.quick:
    pictures = find(asked, "flowers", lambda: textures(3, 100))
else:
    refuse("Name your folder, with a folder for each class in it: --data FOLDER. Or try --quick.")

# %% Is it sound? Broken files, a picture in two classes, classes that brightness alone tells apart
health = survey(pictures)
survey_page(health).write(asked.out / "check.html")
show([("", "finding"), *((f.severity, f.message) for f in health.findings)])

# %% Three parts: to learn from, to choose by, to judge on
pictures = three_parts(asked, pictures, most=(300, 80, 150))

# %% Training: nothing to choose
run = visus.train.train(
    pictures,
    out=asked.out / "run",
    size=(asked.size, asked.size),
    epochs=asked.epochs,
    variants=1 if asked.quick else 4,
    seed=asked.seed,
)

# %% Using it
predictor = visus.predict.Predictor(run.folder)
for sample, prediction in zip(pictures.split("test")[:5], predictor(pictures.split("test")[:5])):
    best, score = prediction.result.top(1, predictor.class_names)[0]
    print(f"{sample.source}: {best}, {score:.0%}{' (or none of these?)' if prediction.uncertain else ''}")

# %% The comparison
compare(asked, Line.of(run, "your classes", "-", accepted=None, above=0.3))
