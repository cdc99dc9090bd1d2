"""Tissue: four nets, one after the other, on eight kinds of tissue. For learning only, not for diagnosis.

    python examples/histology.py --quick
    python examples/histology.py                                    # Kather's 5,000 tiles
    python examples/histology.py --trunk classify/histology-v4      # VGG-16, as in the book; weights downloaded

A project as it happens: a small first net, a large one that learns its pictures by heart, a deep one without
dense layers, and a pretrained trunk with augmentation. All see the same pictures in the same parts. Tiles that
were cut from one slide stay in one part, or a net is praised for recognising the slide.
"""

# %% What is asked for
from _program import Line, arguments, compare, evaluation, find, in_visus_data, show, textures, three_parts

import visus

asked = arguments(
    __doc__,
    nets=("v1 v2 v3 pretrained", "v1 pretrained", "which of them; v2 and v3 take their time"),
    size=(150, 96, "height and width of the pictures"),
    epochs=(15, 20, "passes over the pictures"),
    trunk=("classify/efficientnet-lite0", "classify/efficientnet-lite0", "the pretrained one"),
    slides=("apart", "apart", "tiles of one slide stay in one part (apart), or need not (mixed)"),
)
print("For learning only, not for diagnosis.")


# %% The data; blood cells, or textures, take its place where it is not
def blood_cells() -> visus.data.Dataset:
    return visus.data.load(in_visus_data("pbc_blood_cells"))


tissue = find(asked, "histology", blood_cells, lambda: textures(8, 80))
together = None if asked.slides == "apart" else False
tissue = three_parts(asked, tissue, test=0.2, val=0.2, most=(400, 120, 200), group=together)

# %% The nets: three from scratch, and a pretrained one on pictures that vary
nets = {
    "v1": {"model": "classify/histology-v1", "policy": "none"},
    "v2": {"model": "classify/histology-v2", "policy": "none"},
    "v3": {"model": "classify/histology-v3", "policy": "none"},
    "pretrained": {"model": asked.trunk, "policy": "standard"},
}
runs = {}
for name in asked.nets.split():
    runs[name] = visus.train.train(
        tissue,
        out=asked.out / name,
        **nets[name],
        size=(asked.size, asked.size),
        epochs=0 if asked.quick and name == "pretrained" else asked.epochs,
        variants=1 if asked.quick else 4,
        domain="medical",
        seed=asked.seed,
    )

# %% What their curves say
show([("net", "diagnosis"), *((name, evaluation(run)["diagnosis"]["text"]) for name, run in runs.items())])

# %% The comparison
claims = {
    "v1": ("82.7 % (Michelucci)", 0.75, 0.1),
    "v2": ("99.5 % in training, 74 % in validation (Michelucci)", None, None),
    "v3": ("poor (Michelucci)", None, None),
    "pretrained": ("93.3 %, with augmentation 91 % (VGG-16, Michelucci)", 0.87, 0.4),
}
compare(asked, *(Line.of(run, name, *claims[name]) for name, run in runs.items()))
