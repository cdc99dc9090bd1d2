"""From pictures to results: decode, prepare, compute, decode the outputs; one way for one picture and for a
million.

Example:
    >>> from visus.predict import Predictor
    >>> predictor = Predictor("runs/flowers")                                     # doctest: +SKIP
    >>> for prediction in predictor(["a.jpg", "broken.jpg"]):                     # doctest: +SKIP
    ...     print(prediction.source, prediction.result or prediction.error)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from visus.data.store import decode
from visus.evaluate import uncertain
from visus.image.prepare import prepare
from visus.models.scores import probabilities
from visus.runtime.compiled import Runtime, compile, usable_cores
from visus.structures import Classification, ImageSpec, InputError, Sample

if TYPE_CHECKING:
    import keras


Model: TypeAlias = "keras.Model | str | Path"
Picture: TypeAlias = str | Path | NDArray[np.uint8] | Sample


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture, or why it says nothing.

    Attributes:
        source: The file, the sample's source, or `picture 17` for the 17th array.
        result: The classification with its scores, or None.
        error: Why there is no result, as a sentence, or None.
    """

    source: str
    result: Classification | None
    error: str | None = None

    @property
    def uncertain(self) -> bool:
        """Whether the picture may well show none of the classes.

        Asked where one of several exclusive classes is right; see `visus.evaluate.uncertain`.
        """
        if self.result is None or self.result.scores is None or self.result.labels is not None:
            return False
        return bool(uncertain(self.result.scores[None])[0])


class Predictor:
    """Classifies pictures with one model, or with the mean of several.

    Files are decoded by threads, a few pictures ahead of the model, so that memory does not grow with their
    number and a folder takes about as long as the slower of decoding and computing. Results come in the order
    of the pictures. A picture that cannot be read becomes a result with its error, and the job goes on.

    Args:
        model: A classifier, a `.keras` file, a run folder; or several of them, which must have the same
            classes: the result is then the mean of their probabilities.
        runtime: See `visus.runtime.compile`.
        batch_size: Pictures computed in one call; None leaves it to the runtime, which is quickest.
        tta: Test-time augmentation: the mean of the probabilities over the views of that name (`flip`,
            `five-crop`, `ten-crop`, `multi-scale`, `vgg`, `googlenet`; see
            `visus.data.augment.test_time.views`), or None.
        temperature: Logits are divided by it before they become probabilities; above 1 is less sure of
            itself.
        threads: For decoding, and again for computing; None means as many as the process may use.
        cache_dir: Where compiled models are kept.

    Attributes:
        class_names: The K class names.
        image_spec: What the (first) model expects of a picture.
        multi_label: Whether each class is a yes or no of its own.
        runtimes: The compiled models.

    Raises:
        InputError: A model is missing, is no classifier, or its classes differ from the first one's.

    Example:
        >>> predictor = Predictor(["runs/a", "runs/b"], tta="flip")                # doctest: +SKIP
        >>> next(predictor("rose.jpg")).result.top(1, predictor.class_names)       # doctest: +SKIP
        [('roses', 0.97)]
    """

    def __init__(
        self,
        model: Model | Sequence[Model],
        *,
        runtime: str = "auto",
        batch_size: int | None = None,
        tta: str | None = None,
        temperature: float = 1.0,
        threads: int | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if not temperature > 0:
            raise InputError(f"The temperature is above 0. Received {temperature}.")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"The batch size is at least 1. Received {batch_size}.")
        models = list(model) if isinstance(model, (list, tuple)) else [model]
        if not models:
            raise InputError("A predictor needs at least one model. Received an empty list.")
        self.runtimes: tuple[Runtime, ...] = tuple(
            compile(each, kind=runtime, threads=threads, cache_dir=cache_dir) for each in models
        )
        self._specs = tuple(_spec(each) for each in self.runtimes)
        first = self.runtimes[0]
        self.class_names: tuple[str, ...] = first.class_names or ()
        self.multi_label = first.multi_label
        self.image_spec: ImageSpec = self._specs[0]
        for other in self.runtimes[1:]:
            if other.class_names != self.class_names or other.multi_label != self.multi_label:
                raise InputError(
                    "Models whose probabilities are averaged have the same classes in the same order. "
                    f"Received {list(self.class_names)} and {list(other.class_names or ())}."
                )
        self.tta = None if tta == "none" else tta
        if self.tta is not None:
            from visus.data.augment.test_time import views

            views(self.tta, self.image_spec.size, self.image_spec)  # refuses an unknown name at once
        self.temperature = float(temperature)
        self.threads = threads or usable_cores()
        self.batch_size = batch_size or max(each.piece for each in self.runtimes)

    def __call__(self, pictures: Picture | Iterable[Picture]) -> Iterator[Prediction]:
        """Classifies pictures, lazily: only a few are read ahead of the result that is asked for.

        Args:
            pictures: Paths, uint8 arrays `(height, width, 3)` RGB or `(height, width)` gray, samples, or any
                mixture of them, from any iterable; a uint8 array `(N, height, width, 3)`; or a single
                picture.

        Yields:
            One `Prediction` for each picture, in their order.
        """
        if isinstance(pictures, (str, Path, Sample)) or (
            isinstance(pictures, np.ndarray) and pictures.ndim in (2, 3)
        ):
            yield from self._results([self._prepared(0, pictures)])
            return
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="visus-decode")
        pending: deque[Future[_Prepared]] = deque()
        ready: list[_Prepared] = []
        ahead = self.batch_size + 2 * self.threads
        try:
            for index, picture in enumerate(pictures):
                pending.append(pool.submit(self._prepared, index, picture))
                # Nothing is computed before its turn, but what is done need not wait for a slow source.
                if len(pending) > ahead or (self.batch_size == 1 and pending[0].done()):
                    ready.append(pending.popleft().result())
                if len(ready) == self.batch_size:
                    yield from self._results(ready)
                    ready = []
            while pending:
                ready.append(pending.popleft().result())
                if len(ready) == self.batch_size:
                    yield from self._results(ready)
                    ready = []
            yield from self._results(ready)
        finally:
            pool.shutdown(cancel_futures=True)

    def scores(self, dataset: Iterable[Picture]) -> tuple[NDArray[np.float32], dict[str, str]]:
        """The probabilities of a whole data set.

        Args:
            dataset: A `visus.data.Dataset`, or pictures as in a call.

        Returns:
            float32 `(N, K)`, with a row of NaN for a picture that could not be read; and source -> reason.
        """
        rows: list[NDArray[np.float32]] = []
        errors: dict[str, str] = {}
        nothing = np.full(len(self.class_names), np.nan, np.float32)
        for prediction in self(dataset):
            known = prediction.result is not None and prediction.result.scores is not None
            rows.append(prediction.result.scores if known else nothing)  # type: ignore[union-attr, arg-type]
            if prediction.error is not None:
                errors[prediction.source] = prediction.error
        return np.stack(rows) if rows else np.empty((0, len(nothing)), np.float32), errors

    def _prepared(self, index: int, picture: Any) -> _Prepared:
        """Decodes a picture and makes its views for each model; what goes wrong stays with this picture."""
        source = _name(index, picture)
        try:
            made: dict[ImageSpec, NDArray[np.uint8]] = {}
            sample = _sample(picture)
            for spec in self._specs:
                if spec in made:
                    continue
                if self.tta in (None, "flip"):
                    image = prepare(decode(sample, spec.channels, _enough(spec)), spec)[0]
                    made[spec] = image[None] if self.tta is None else np.stack([image, image[:, ::-1]])
                else:
                    from visus.data.augment.test_time import view_images

                    made[spec] = view_images(decode(sample, spec.channels), self.tta, spec)
            return _Prepared(source, [made[spec] for spec in self._specs])
        except InputError as error:
            return _Prepared(source, [], str(error))
        except Exception as error:  # one bad picture never ends a long job
            return _Prepared(source, [], f"{source} cannot be used: {type(error).__name__}: {error}")

    def _results(self, prepared: list[_Prepared]) -> Iterator[Prediction]:
        """Computes a batch."""
        readable = [each for each in prepared if each.error is None]
        rows: Iterator[NDArray[np.float32]] = iter(self._probabilities(readable) if readable else ())
        for each in prepared:
            if each.error is not None:
                yield Prediction(each.source, None, each.error)
                continue
            scores = next(rows)
            labels = (scores >= 0.5).astype(np.uint8) if self.multi_label else None
            yield Prediction(each.source, Classification(int(np.argmax(scores)), labels, scores))

    def _probabilities(self, prepared: list[_Prepared]) -> NDArray[np.float32]:
        """float32 `(B, K)`: the mean over the models of the mean over the views."""
        total = np.zeros((len(prepared), len(self.class_names)))
        for member, run in enumerate(self.runtimes):
            batch = np.concatenate([each.views[member] for each in prepared]).astype(np.float32)
            scores = probabilities(run(batch)["logits"] / self.temperature, self.multi_label)
            total += scores.reshape(len(prepared), -1, scores.shape[1]).mean(axis=1)
        return (total / len(self.runtimes)).astype(np.float32)


def predict(
    model: Model | Sequence[Model], pictures: Picture | Iterable[Picture], **options: Any
) -> Iterator[Prediction]:
    """Classifies pictures: `Predictor(model, **options)(pictures)`.

    Example:
        >>> for prediction in predict("runs/flowers", Path("photos").glob("*.jpg")):     # doctest: +SKIP
        ...     print(prediction.source, prediction.result)
    """
    return Predictor(model, **options)(pictures)


@dataclass(frozen=True)
class _Prepared:
    """A picture on its way: for each model uint8 `(views, height, width, channels)`, or an error."""

    source: str
    views: list[NDArray[np.uint8]]
    error: str | None = None


def _spec(runtime: Runtime) -> ImageSpec:
    """The image spec of a classifier.

    Raises:
        InputError: The model is no classifier of visus.
    """
    classes = runtime.outputs.get("logits", ())
    if runtime.image_spec is None or runtime.class_names is None or classes != (len(runtime.class_names),):
        raise InputError(
            "A predictor needs a classifier: a model with `image_spec`, `class_names` and an output named "
            f"`logits` with one value for each class. Received outputs {runtime.outputs} and class names "
            f"{runtime.class_names}. Build it with visus.models.create, or load one that visus trained."
        )
    return runtime.image_spec


def _name(index: int, picture: Any) -> str:
    if isinstance(picture, Sample):
        return picture.source or (
            str(picture.image) if isinstance(picture.image, Path) else f"picture {index + 1}"
        )
    return str(picture) if isinstance(picture, (str, Path)) else f"picture {index + 1}"


def _sample(picture: Any) -> Sample:
    """A picture as a sample whose image is a path or a well-formed array.

    Raises:
        InputError: It is something else, such as a float array in 0..1.
    """
    image = picture.image if isinstance(picture, Sample) else picture
    if isinstance(image, (str, Path)):
        return Sample(Path(image))
    if not isinstance(image, np.ndarray):
        raise InputError(f"A picture is a path or a uint8 array. Received a {type(image).__name__}.")
    if image.dtype != np.uint8:
        found = f"{image.dtype} values {image.min():g}..{image.max():g}" if image.size else str(image.dtype)
        raise InputError(
            f"A picture in memory holds uint8 values 0..255. Received {found}. Bring it to 0..255 and "
            "convert it with .round().astype('uint8')."
        )
    if image.size == 0 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise InputError(
            "A picture in memory has the shape (height, width, 3) for RGB or (height, width) for gray. "
            f"Received {image.shape}."
        )
    return Sample(image)


def _enough(spec: ImageSpec) -> tuple[int, int]:
    """The `(height, width)` above which a larger decode adds nothing; as in training."""
    return math.ceil(spec.height / spec.crop_fraction), math.ceil(spec.width / spec.crop_fraction)
