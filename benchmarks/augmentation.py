"""Random versions of a 360 x 500 photograph at 224 x 224, without decoding: visus beside Pillow, per core.

Pillow does what torchvision's transforms do on its pictures: random resized crop, flip, colour jitter. Processor
time, so that neighbours on a busy machine count little; the best of several rounds.

    python -m benchmarks.augmentation [--json]
"""

import json
import random
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageEnhance
from skimage.data import astronaut

from visus.data.augment import DOMAINS, STRENGTHS, policy
from visus.image import prepare
from visus.structures import ImageSpec, Sample

SPEC = ImageSpec(224, 224, resize="crop", crop_fraction=0.875)
COUNT, ROUNDS = 200, 5


def pillow(image: Image.Image) -> np.ndarray:
    """RandomResizedCrop(224, scale=(0.5, 1)), RandomHorizontalFlip, ColorJitter(0.2, 0.2, 0.2) with Pillow."""
    area = image.width * image.height * random.uniform(0.5, 1)
    aspect = random.uniform(3 / 4, 4 / 3)
    width = min(image.width, round((area * aspect) ** 0.5))
    height = min(image.height, round((area / aspect) ** 0.5))
    left, top = random.randint(0, image.width - width), random.randint(0, image.height - height)
    image = image.resize((224, 224), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(random.uniform(0.8, 1.2))
    return np.asarray(image)


def rate(make: Callable[[int], object]) -> float:
    """Versions per second of processor time."""
    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for i in range(COUNT):
            make(i)
        rates.append(COUNT / (time.process_time() - start))
    return max(rates)


def main() -> None:
    cv2.setNumThreads(1)
    photo = np.ascontiguousarray(astronaut()[:360, :500])
    image, sample = Image.fromarray(photo), Sample(photo)
    rates = {"prepare": rate(lambda i: prepare(photo, SPEC)), "pillow": rate(lambda i: pillow(image))}
    for domain in DOMAINS:
        for name in STRENGTHS[1:]:
            chosen = policy(name, domain=domain)
            rates[f"{domain} {name}"] = rate(
                lambda i, chosen=chosen: chosen.apply(sample, np.random.default_rng((0, 0, i)), SPEC)
            )
    if "--json" in sys.argv:
        print(json.dumps({name: round(value) for name, value in rates.items()}))
        return
    for name, value in rates.items():
        print(f"{name:20}{value:8.0f} images/s")


if __name__ == "__main__":
    main()
