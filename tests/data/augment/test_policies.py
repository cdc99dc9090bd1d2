"""A policy: one warp for all geometry, one drawing for picture and target, and the guard."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from visus.data.augment import (
    Brightness,
    ColorJitter,
    Crop,
    Elastic,
    GaussianNoise,
    Grayscale,
    HorizontalFlip,
    Hue,
    Perspective,
    Policy,
    QuarterTurn,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    Rotate,
    Shear,
    Shift,
    ShorterSideJitter,
    TrivialAugment,
    VerticalFlip,
    Zoom,
    policy,
)
from visus.data.augment.policies import drawn_from_dict, drawn_to_dict
from visus.image.prepare import prepare
from visus.image.resize import resize
from visus.structures import Classification, ImageSpec, InputError, Sample

SPECS = [
    ImageSpec(64, 96, resize="stretch"),
    ImageSpec(64, 96, resize="letterbox"),
    ImageSpec(64, 96, resize="crop", crop_fraction=0.875),
]
SPEC_IDS = [spec.resize for spec in SPECS]


@dataclass(frozen=True)
class Point:
    """A target that remembers where a policy moved it."""

    at: Any
    size: Any = None

    def moved(self, affine, image_size):
        return Point(affine.apply(self.at), image_size)


@pytest.fixture
def photo():
    return np.random.default_rng(1).integers(0, 256, (90, 140, 3), np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def blob(x, y, size=(180, 260), sigma=5.0):
    rows, columns = np.indices(size) + 0.5
    return np.rint(255 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))).astype(np.uint8)


def centre(image):
    image = image.reshape(image.shape[:2]).astype(float)
    rows, columns = np.indices(image.shape) + 0.5
    return (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()


GEOMETRY = {
    "affine": (Rotate(20), Zoom(0.2, per_axis=True), Shear(10, 5), Shift(0.05), HorizontalFlip()),
    "cuts": (Crop((0.9, 1.0)), VerticalFlip(), QuarterTurn()),
    "framed": (RandomResizedCrop((0.8, 1.0)), Rotate(5), HorizontalFlip()),
    "jitter": (ShorterSideJitter(100, 110, (100, 100)), VerticalFlip()),
    "projective": (Rotate(10), Perspective(0.2), HorizontalFlip(), Crop((0.9, 1.0))),
    "bent": (Crop((0.9, 1.0)), Elastic(0.01), Rotate(10), QuarterTurn(), Perspective(0.1)),
}


@pytest.mark.parametrize("spec", [None, *SPECS], ids=["as it is", *SPEC_IDS])
@pytest.mark.parametrize("ops", GEOMETRY.values(), ids=GEOMETRY)
@pytest.mark.parametrize("seed", range(3))
def test_the_target_moves_with_the_picture(ops, spec, seed):
    mixed = Policy(tuple((op, 1.0) for op in ops), border="constant", fill=0)
    if spec is not None:
        spec = ImageSpec(**{**spec.to_dict(), "channels": 1})
    x, y = rng(seed).uniform([120, 80], [140, 100])
    out = mixed.apply(Sample(blob(x, y), Point([x, y])), rng(seed), spec)
    assert out.target.size == out.image.shape[:2]
    if spec is not None:
        assert out.image.shape == spec.shape
    image = np.where(out.image == 114, 0, out.image)  # the letterbox's bands
    np.testing.assert_allclose(centre(image), out.target.at, atol=0.5)


@pytest.mark.parametrize("spec", SPECS, ids=SPEC_IDS)
def test_nothing_drawn_is_plain_preparation(photo, spec):
    out = Policy().apply(Sample(photo), rng(), spec)
    np.testing.assert_array_equal(out.image, prepare(photo, spec)[0])
    flipped = Policy(((HorizontalFlip(), 1.0),)).apply(Sample(photo), rng(), spec)
    np.testing.assert_array_equal(flipped.image, prepare(photo, spec)[0][:, ::-1])


def test_crop_and_flip_equal_slice_resize_and_flip(photo):
    spec = ImageSpec(32, 48)
    out = Policy(((RandomResizedCrop((0.3, 0.9)), 1.0), (HorizontalFlip(), 1.0))).apply(
        Sample(photo), rng(4), spec
    )
    op = RandomResizedCrop((0.3, 0.9)).for_input(spec, (90, 140))
    chance = rng(4)
    chance.random()  # the policy's own lot
    p = op.draw(chance, (90, 140))
    part = photo[p["top"] : p["top"] + p["height"], p["left"] : p["left"] + p["width"]]
    np.testing.assert_array_equal(
        out.image, resize(np.ascontiguousarray(part), (32, 48), interpolation="bilinear")[:, ::-1]
    )


def test_one_warp_is_sharper_than_two_and_shows_the_same(photo):
    smooth = np.kron(photo[::10, ::10], np.ones((10, 10, 1), np.uint8))
    both = Policy(((Rotate(30), 1.0), (Rotate(30), 1.0)))
    drawn = [(Rotate(30), {"degrees": 20.0}), (Rotate(30), {"degrees": -20.0})]
    out = both.carry_out(Sample(smooth), drawn).image
    np.testing.assert_array_equal(out, smooth)  # twenty there and back is one map: the identity


def test_pixels_come_after_geometry_whatever_the_order(photo):
    spec = ImageSpec(32, 48)
    first = [(Brightness(), {"delta": 0.1}), (HorizontalFlip(), {})]
    a = Policy().carry_out(Sample(photo), first, spec).image
    b = Policy().carry_out(Sample(photo), first[::-1], spec).image
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("border", ["constant", "nearest", "reflect", "mirror", "wrap"])
def test_borders_of_abcd(border):
    expected = {
        "constant": "kkkkkkkk|abcd|kkkkkkkk",
        "nearest": "aaaaaaaa|abcd|dddddddd",
        "reflect": "abcddcba|abcd|dcbaabcd",
        "mirror": "cbabcdcb|abcd|cbabcdcb",
        "wrap": "abcdabcd|abcd|abcdabcd",
    }[border].replace("|", "")
    letters = np.frombuffer(b"abcd", np.uint8).reshape(1, 4)
    for shift in (-2, -1, 1, 2):
        moved = Policy(border=border, fill=ord("k")).carry_out(
            Sample(letters), [(Shift(1.0), {"x": shift * 0.25, "y": 0.0})]
        )
        assert moved.image.tobytes().decode() == expected[8 - shift : 12 - shift]


def test_a_random_crop_is_letterboxed_as_prediction_does(photo):
    spec = ImageSpec(96, 96, resize="letterbox")
    crop = Policy(((RandomResizedCrop((0.3, 0.9)), 1.0),))
    for seed in range(5):
        out = crop.apply(Sample(photo, Point([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])), rng(seed), spec)
        origin, x, y = out.target.at
        assert x[0] - origin[0] == pytest.approx(y[1] - origin[1], rel=0.02), "no distortion"
        assert 0.1 < (out.image == 114).all(axis=2).mean() < 0.6, "bars as in prediction"


def test_letterbox_bands_stay_gray(photo):
    spec = ImageSpec(96, 96, resize="letterbox")
    ops = (Rotate(10), Shift(0.2), GaussianNoise(), Brightness())
    out = Policy(tuple((op, 1.0) for op in ops)).apply(Sample(photo), rng(3), spec).image
    bands = (prepare(np.zeros_like(photo), spec)[0] == 114).all(axis=2)
    assert 0.2 < bands.mean() < 0.5
    assert (out[bands] == 114).all()
    assert (out[~bands] != 114).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(90, 140), (90, 140, 1), (90, 140, 3), (1, 1), (5, 3, 3)], ids=str)
def test_result_has_the_size_of_the_model(shape, channels):
    image = rng(1).integers(0, 256, shape, np.uint8)
    for spec in SPECS:
        spec = ImageSpec(**{**spec.to_dict(), "channels": channels})
        for name in ("none", "light", "standard", "strong"):
            for seed in range(3):
                out = policy(name).apply(Sample(image, Classification(label=1)), rng(seed), spec)
                assert out.image.shape == spec.shape
                assert out.image.dtype == np.uint8
                assert out.target == Classification(label=1)


def test_same_chance_same_pixels_and_nothing_written(photo):
    before = photo.copy()
    photo.setflags(write=False)
    for name in ("light", "standard", "strong"):
        outs = [
            policy(name).apply(Sample(photo), np.random.default_rng((7, 2, 5)), SPECS[0]).image
            for _ in range(2)
        ]
        np.testing.assert_array_equal(*outs)
    np.testing.assert_array_equal(photo, before)


def test_probabilities(photo):
    half = Policy(((HorizontalFlip(), 0.5), (VerticalFlip(), 0.1)))
    counts = np.zeros(2)
    for seed in range(1000):
        drawn = [type(op) for op, _ in half.draw(rng(seed), (9, 9))]
        counts += [HorizontalFlip in drawn, VerticalFlip in drawn]
    np.testing.assert_allclose(counts / 1000, [0.5, 0.1], atol=0.05)


def test_a_drawing_can_be_written_down_and_repeated(photo):
    strong = policy("strong")
    spec = SPECS[2]
    for seed in range(10):
        drawn = strong.draw(rng(seed), photo.shape[:2], spec)
        again = drawn_from_dict(json.loads(json.dumps(drawn_to_dict(drawn))))
        np.testing.assert_array_equal(
            strong.carry_out(Sample(photo), drawn, spec).image,
            strong.carry_out(Sample(photo), again, spec).image,
        )
        np.testing.assert_array_equal(
            strong.carry_out(Sample(photo), drawn, spec).image,
            strong.apply(Sample(photo), rng(seed), spec).image,
        )


@pytest.mark.parametrize(
    ("op", "domain", "protect"),
    [
        (VerticalFlip(), "street", ()),
        (VerticalFlip(), "faces", ()),
        (VerticalFlip(), "text", ()),
        (HorizontalFlip(), "text", ()),
        (HorizontalFlip(), "generic", ("left-right",)),
        (QuarterTurn(), "street", ()),
        (Rotate(120), "faces", ()),
        (TrivialAugment(), "text", ()),
        (RandAugment(), "generic", ("colour",)),
        (Grayscale(), "generic", ("colour",)),
        (Hue(0.3), "macro", ("colour",)),
        (ColorJitter(hue=0.2), "macro", ("colour",)),
    ],
    ids=repr,
)
def test_the_guard_refuses_and_can_be_overruled(op, domain, protect):
    with pytest.raises(InputError, match="may turn one class into another") as refused:
        Policy(((op, 0.5),), domain=domain, protect=protect)
    assert repr(op) in str(refused.value)
    allowed = Policy(((op, 0.5),), domain=domain, protect=protect, allow=tuple(op.hazards))
    assert allowed.steps[0][0] is op


@pytest.mark.parametrize("op", [VerticalFlip(), HorizontalFlip(), QuarterTurn(), Rotate(180)], ids=repr)
@pytest.mark.parametrize("domain", ["generic", "aerial", "medical", "macro"])
def test_the_guard_lets_pass_what_changes_no_label(op, domain):
    Policy(((op, 0.5),), domain=domain)


def test_description_and_json_round_trip():
    mixed = Policy(
        ((RandomErasing(fill="mean"), 0.25), (GaussianNoise(5), 1.0), (Crop(size=(10, 20)), 0.5)),
        name="mine",
        domain="street",
        protect=("colour",),
        border="mirror",
        fill=7,
    )
    back = Policy.from_dict(json.loads(json.dumps(mixed.to_dict())))
    assert back == mixed
    text = mixed.describe()
    assert "'mine' for street" in text
    assert "GaussianNoise(sigma=5), always" in text
    assert "probability 0.25" in text
    assert "protected: colour, up-down" in text
    assert Policy().describe().endswith("nothing.")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Policy(domain="space"), "Policy.domain knows generic"),
        (lambda: Policy(border="edge"), "Policy.border knows constant"),
        (lambda: Policy(protect=("size",)), "Policy.protect knows left-right"),
        (lambda: Policy(((Rotate(), 1.5),)), r"lies in \[0, 1\]"),
        (lambda: Policy.from_dict({"steps": [{"op": "Explode"}]}), "no augmentation named 'Explode'"),
        (lambda: Policy.from_dict({"steps": [{"op": "Rotate", "angle": 3}]}), "cannot be made from"),
        (lambda: Policy.from_dict({"colour": 3}), "cannot be made from"),
    ],
)
def test_bad_descriptions(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_reads_a_path(tmp_path, photo):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    assert np.array_equal(Policy().apply(Sample(path), rng()).image, photo)
    gray = Policy().apply(Sample(path), rng(), ImageSpec(9, 12, channels=1))
    assert gray.image.shape == (9, 12, 1)
