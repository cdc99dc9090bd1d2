"""What is in this photograph? A pretrained net names it, as one of a thousand things.

    python examples/name_a_photo.py --data holiday/
    python examples/name_a_photo.py --quick                         # two photographs that scikit-learn brings
    python examples/name_a_photo.py --model classify/resnet-50      # the net of the book; weights downloaded

Every net brings its own preparation of the picture, so another net is but another name. And a net can only say
what it has learned: shown a dahlia, which is none of its thousand classes, it names something else. Its doubt is
the only warning.
"""

# %% What is asked for
from pathlib import Path

from _program import Line, arguments, compare

import visus
from visus.draw.text import caption
from visus.structures import Estimate

asked = arguments(
    __doc__,
    model=("classify/efficientnet-lite0", "classify/efficientnet-lite0", "a name from `visus models`"),
    top=(3, 3, "how many answers"),
)

# %% The photographs: yours, or a temple in China and a dahlia
if asked.data:
    photos = visus.data.load(asked.data, format="pictures", task=None)
else:
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    photos = visus.data.load([Path(name) for name in samples.filenames], format="pictures", task=None)

# %% The net, with all of its own classes
net = visus.predict.Predictor(visus.models.create(asked.model))
wordnet_ids = [wordnet_id for wordnet_id, _ in visus.models.imagenet_classes()]

# %% The answers
answers = {}
for photo, answer in zip(photos, net(photos)):
    if answer.result is None:
        print(answer.error)
        continue
    name, scores = Path(photo.source).name, answer.result.scores
    print(f"\n{name}{': perhaps none of the classes it knows' if answer.uncertain else ''}")
    best = scores.argsort()[::-1][: asked.top]
    for i in best:
        print(f"  {wordnet_ids[i]} - {net.class_names[i]:12s} {scores[i]:.2%}")
    text = "\n".join(f"{net.class_names[i]} {scores[i]:.0%}" for i in best)
    visus.image.write(asked.out / f"{Path(name).stem}.png", caption(visus.image.read(photo.image), text))
    answers[name] = answer

# %% The comparison, for the two photographs of the book
if not asked.data:
    palace = answers["china.jpg"].result.scores[net.class_names.index("palace")]
    doubt = 1 - answers["flower.jpg"].result.scores.max()
    near = 0.5469 - 0.02 if asked.model == "classify/resnet-50" else 0.2
    compare(
        asked,
        Line(
            "china.jpg, a palace", Estimate(float(palace)), 0.001, "54.69 % (ResNet-50, Géron, ch. 14)", near
        ),
        Line(
            "flower.jpg, doubt",
            Estimate(float(doubt)),
            0.0,
            "67 %, of a vase (ResNet-50, Géron, ch. 14)",
            0.5,
            above=0.5,
        ),
    )
