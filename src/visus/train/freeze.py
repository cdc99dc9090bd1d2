"""Which layers learn: freezing and unfreezing by name, pattern, position, type or stage.

A frozen `BatchNormalization` runs in inference mode and keeps its statistics. `fit` looks at what is
trainable when it first runs after `compile`: a later change has no effect with TensorFlow, in either
direction, and is an error with JAX, until the model is compiled again, which is what `recompile` is for. With
TensorFlow even `model.trainable = True` does nothing to the layers if the model's own flag is True already.
"""

from __future__ import annotations

import difflib
import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from visus.structures import InputError

Which = Any
"""What to freeze, one of these or several in a list:

- a layer (a model within the model is all of its layers);
- its position in `model.layers`, or a slice of positions: `-1`, `slice(56, None)`;
- its name at any depth, `"block5_conv1"`, or a pattern, `"block5_*"`, or a compiled regular expression;
- a type: `keras.layers.Conv2D`;
- a stage (see `stages`): counted from the stem, `"stage:4"`, or from the top, `"stage:-1"`; or by the name
  that its layers begin with, `"conv5"`.
"""


@dataclass(frozen=True)
class Counts:
    """Numbers of parameters.

    Attributes:
        trainable: Those that learn.
        frozen: Those that do not, statistics of normalisation included.
    """

    trainable: int
    frozen: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.trainable + self.frozen


@dataclass(frozen=True)
class Change:
    """What was done; printed, it is a small table.

    Attributes:
        frozen: Names of the layers with weights that learnt before and are frozen now.
        unfrozen: Names of the layers with weights that were frozen before and learn now.
        before: Parameters before.
        after: Parameters now.
    """

    frozen: tuple[str, ...]
    unfrozen: tuple[str, ...]
    before: Counts
    after: Counts

    def __str__(self) -> str:
        lines = [f"{len(self.frozen)} layers frozen, {len(self.unfrozen)} unfrozen"]
        lines.append(f"{'':8}{'trainable':>14}{'frozen':>14}{'total':>14}")
        for name, n in (("before", self.before), ("after", self.after)):
            lines.append(f"{name:8}{n.trainable:>14,}{n.frozen:>14,}{n.total:>14,}")
        return "\n".join(lines)


def counts(model: keras.Model) -> Counts:
    """How many parameters learn, and how many do not."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Counts(trainable, model.count_params() - trainable)


def freeze(model: keras.Model, which: Which) -> Change:
    """Makes layers stop learning.

    Args:
        model: The model, or one of its parts.
        which: See `Which`.

    Raises:
        InputError: Something named is not there; the message has close matches.

    Example:
        >>> base = keras.applications.VGG16(weights=None, include_top=False)
        >>> print(freeze(base, "block1_*"))
        2 layers frozen, 0 unfrozen
                     trainable        frozen         total
        before      14,714,688             0    14,714,688
        after       14,675,968        38,720    14,714,688
    """
    chosen = _ids(_select(model, which))
    return _set(model, lambda layer: layer.trainable and id(layer) not in chosen)


def unfreeze(model: keras.Model, which: Which, *, batch_norm: bool = True) -> Change:
    """Makes layers learn again.

    Args:
        model: The model, or one of its parts.
        which: See `Which`.
        batch_norm: Whether normalisation layers among them are meant, too. With small batches, or few
            pictures, they do better frozen: with the statistics of the pretraining.

    Raises:
        InputError: Something named is not there.
    """
    chosen = _ids(
        layer for layer in _select(model, which) if batch_norm or not isinstance(layer, _NORMALISATION)
    )
    return _set(model, lambda layer: layer.trainable or id(layer) in chosen)


def freeze_before(model: keras.Model, which: Which, *, only: type = keras.Layer) -> Change:
    """Freezes every layer that stands before the first of the given ones, in the order of the model.

    Args:
        model: The model, or one of its parts.
        which: Where learning begins.
        only: Freeze layers of this type only. With `Conv2D` the normalisation before goes on adapting.

    Raises:
        InputError: What is named matches nothing; then nothing is changed.

    Example:
        >>> resnet = keras.applications.ResNet50(weights=None)  # doctest: +SKIP
        >>> freeze_before(resnet, "conv5", only=keras.layers.Conv2D).after.trainable  # doctest: +SKIP
        17055592
    """
    first = _ids(_select(model, which))
    leaves = _leaves(model)
    end = next(i for i, layer in enumerate(leaves) if id(layer) in first)
    frozen = _ids(layer for layer in leaves[:end] if isinstance(layer, only))
    return _set(model, lambda layer: layer.trainable and id(layer) not in frozen)


def freeze_for_tuning(model: Any, top: int | Literal["all"], *, batch_norm: bool = False) -> Change:
    """Prepares fine-tuning: the head learns, and the top stages of the trunk.

    Args:
        model: A model with a `trunk`, or with none: then everything learns.
        top: How many stages of the trunk, counted from its top, or `all`.
        batch_norm: Whether the trunk's normalisation layers learn with their stages. By default they all stay
            as pretrained.

    Raises:
        InputError: The trunk has not so many stages.
    """
    trunk = getattr(model, "trunk", None)
    inside = _leaves(trunk) if trunk is not None else []
    learning = _ids(inside)
    if top != "all":
        names = list(stages(trunk).values()) if trunk is not None else []
        if not 0 <= top <= len(names):
            raise InputError(
                f"The trunk has {len(names)} stages. Received {top}: give 0 to {len(names)}, or all."
            )
        tops = {name for stage in names[len(names) - top :] for name in stage}
        learning = _ids(layer for layer in inside if layer.name in tops)
    if not batch_norm:
        learning -= _ids(layer for layer in inside if isinstance(layer, _NORMALISATION))
    frozen = _ids(inside) - learning
    return _set(model, lambda layer: id(layer) not in frozen)


def stages(model: Any) -> dict[str, list[str]]:
    """The stages of a trunk, from the stem to the top: name -> names of its layers.

    A model says so itself with an attribute `stages` (a list of lists of names), or its `trunk` does.
    Otherwise they are read from the names of the layers, as in `keras.applications`: `conv4_block1_1_conv`
    begins stage `conv4`, `block3_pool` belongs to `block3`, and what has no number belongs to the stage
    around it.

    Raises:
        InputError: The names tell of no stages.

    Example:
        >>> list(stages(keras.applications.VGG16(weights=None, include_top=False)))
        ['block1', 'block2', 'block3', 'block4', 'block5']
    """
    for owner in (model, getattr(model, "trunk", None)):
        known: Sequence[Sequence[str]] | None = getattr(owner, "stages", None)
        if known:
            return {f"stage{i}": list(names) for i, names in enumerate(known)}
    found = _stages_by_name(model)
    if not found:
        raise InputError(
            f"The names of the layers of {model.name} tell of no stages. Freeze by name, position or type."
        )
    return found


def _stages_by_name(model: keras.Model) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    stem: list[str] = []
    stage: list[str] | None = stem
    for layer in _leaves(model):
        match = re.match(r"(?:conv|block|stage|layer)_?\d+(?=[a-z_])(?!d)", layer.name)
        if match:
            stage = found.setdefault(match.group(), [])
        elif isinstance(layer, _HEAD):
            stage = None
        if stage is not None:
            stage.append(layer.name)
    if len(found) < 3:  # a chance resemblance
        return {}
    first = next(iter(found))
    found[first] = stem + found[first]
    return found


def needs_recompile(model: keras.Model) -> bool:
    """Whether what is trainable has changed since the optimiser was built, so that `fit` would not notice."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None or not optimizer.built:
        return False
    return _ids(optimizer._trainable_variables) != _ids(model.trainable_variables)


def recompile(model: keras.Model) -> None:
    """Compiles a model again with the same arguments.

    The optimiser starts anew, with the learning rate that it has now: its moments belonged to other weights.

    Raises:
        InputError: The model has never been compiled.
    """
    if not getattr(model, "compiled", False):
        raise InputError(f"The model {model.name} has not been compiled yet. Call model.compile(...) first.")
    old = model.optimizer
    optimizer = type(old).from_config(old.get_config())
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):  # not in the config
        if hasattr(old, name):
            setattr(optimizer, name, getattr(old, name))
    model.compile(**{**model._compile_config.config, "optimizer": optimizer})


def ensure_compiled(model: keras.Model, *, strict: bool = False) -> bool:
    """Compiles the model again if that is needed before `fit`.

    Args:
        model: A compiled model.
        strict: Raise instead.

    Returns:
        Whether it was compiled again.

    Raises:
        InputError: In strict mode: the set of trainable layers has changed since the last training.
    """
    if not needs_recompile(model):
        return False
    if strict:
        raise InputError(
            f"Layers of {model.name} were frozen or unfrozen after it was compiled, which fit would not "
            "notice. Call visus.train.freeze.recompile(model)."
        )
    recompile(model)
    return True


_NORMALISATION = (keras.layers.BatchNormalization,)
_HEAD = (
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)


def _set(model: keras.Model, learns: Callable[[Any], bool]) -> Change:
    """Gives every layer without sub-layers its flag, and containers that of their parts."""
    leaves = _leaves(model)
    before, wanted = counts(model), [(layer, bool(model.trainable and learns(layer))) for layer in leaves]
    was = {id(layer): bool(model.trainable and layer.trainable) for layer in leaves}
    learning = _ids(layer for layer, flag in wanted if flag)
    for container in (model, *(layer for layer in _walk(model) if _parts(layer))):
        container.trainable = bool(learning & _ids(_leaves(container)))  # sets all its parts, too
    for layer, flag in wanted:
        layer.trainable = flag
    changed = [(layer, flag) for layer, flag in wanted if flag != was[id(layer)] and layer.weights]
    return Change(
        tuple(layer.name for layer, flag in changed if not flag),
        tuple(layer.name for layer, flag in changed if flag),
        before,
        counts(model),
    )


def _select(model: keras.Model, which: Which) -> list[Any]:
    """The layers without sub-layers that are meant."""
    if isinstance(which, list | tuple | set | frozenset) and which:
        return [layer for one in which for layer in _select(model, one)]
    found: list[Any] = []
    if isinstance(which, keras.Layer):
        found = [which]
    elif isinstance(which, slice):
        found = model.layers[which]
    elif isinstance(which, int):
        found = model.layers[which : which + 1 or None]
    elif isinstance(which, re.Pattern):
        found = [layer for layer in _walk(model) if which.search(layer.name)]
    elif isinstance(which, type):
        found = [layer for layer in _walk(model) if isinstance(layer, which)]
    elif isinstance(which, str):
        found = _named(model, which)
    elif not isinstance(which, list | tuple | set | frozenset):
        raise TypeError(f"A layer is named by its name, position, type or itself. Received {which!r}.")
    own = _ids(_leaves(model))
    leaves = [
        leaf for layer in found for leaf in (_leaves(layer) if _parts(layer) else [layer]) if id(leaf) in own
    ]
    if not leaves:
        raise InputError(f"{model.name} has no layer {_said(which)}. {_close(model, which)}")
    return leaves


def _named(model: keras.Model, name: str) -> list[Any]:
    walk = list(_walk(model))
    exact = [layer for layer in walk if layer.name == name]
    if exact:
        return exact
    if any(sign in name for sign in "*?["):
        return [layer for layer in walk if fnmatch.fnmatchcase(layer.name, name)]
    if re.fullmatch(r"stage:-?\d{1,6}", name):
        number, known = int(name[6:]), list(stages(model).values())
        chosen = known[number] if -len(known) <= number < len(known) else []
    else:
        chosen = _stages_by_name(model).get(name, [])
    return [layer for layer in walk if layer.name in set(chosen)]


def _said(which: Any) -> str:
    return repr(which.pattern) if isinstance(which, re.Pattern) else repr(getattr(which, "name", which))


def _close(model: keras.Model, which: Any) -> str:
    if not isinstance(which, str):
        return f"It has {len(model.layers)} layers."
    names = [layer.name for layer in _walk(model)]
    if which.startswith("stage:"):
        return f"It has {len(stages(model))} stages, counted from 0."
    near = difflib.get_close_matches(which, [*_stages_by_name(model), *names], n=5, cutoff=0.4)
    return f"Did you mean {', '.join(near)}?" if near else f"Its layers are {', '.join(names[:20])}, ..."


def _parts(layer: Any) -> list[Any]:
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _walk(layer: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """All layers within, each once, a container before its parts, in the order of the model."""
    seen = set() if seen is None else seen
    for part in _parts(layer):
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            yield from _walk(part, seen)


def _leaves(layer: Any) -> list[Any]:
    return [part for part in _walk(layer) if not _parts(part)]


def _ids(things: Iterable[Any]) -> set[int]:
    return {id(thing) for thing in things}
