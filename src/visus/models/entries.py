"""The catalogue: what each model is and costs, known without loading a framework.

Every model file of a task folder carries two literals, `VARIANTS` (name -> constructor arguments) and `CARDS`
(name -> facts). They are read from the source text, so that listing all models takes milliseconds; the
conformance tests hold every figure against the built network.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from visus.structures import ImageSpec, InputError

MODELS = Path(__file__).parent


@dataclass(frozen=True)
class Pretrained:
    """Where a set of weights comes from.

    Attributes:
        data: What it was trained on, such as `ImageNet-1k`.
        source: The Python package that carries the file, or `keras.applications`, which downloads it.
        file: The file's name in the package, or None.
        sha256: The file's hash, checked before it is read, or None where the downloader checks its own.
        licence: As its publisher states it.
        by_hand: Whether its publisher gives no hash, so that visus does not fetch it.
    """

    data: str
    source: str
    licence: str
    file: str | None = None
    sha256: str | None = None
    by_hand: bool = False

    @property
    def online(self) -> bool:
        """Whether the first use downloads the weights."""
        return self.way == "downloaded"

    @property
    def way(self) -> str:
        """How the file comes here: `installed` with a package, `downloaded` at first use, or `by hand`."""
        return "installed" if self.file else "by hand" if self.by_hand else "downloaded"


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue.

    Attributes:
        name: `folder/variant`, such as `classify/efficientnet-lite0`.
        module: The Python module that builds it.
        image_spec: Size and resize rule of its published use.
        minimum: Smallest `(height, width)` it can be built for.
        num_classes: Classes of its published head.
        parameters: Numbers in its variables, with that head, moving statistics included.
        multiply_adds: Multiplications for one picture of that size.
        top1: Published ImageNet accuracy of these very weights in percent, or None.
        top5: The same, the truth among the best five.
        cpu_ms: Published milliseconds for a picture in batches of 32 on an AMD EPYC, or None.
        gpu_ms: The same on an NVIDIA A100.
        weights: The pretrained weights that `weights="default"` means, or None.
        ms: Milliseconds for one picture at batch 1, measured on this machine, or None.
    """

    name: str
    module: str
    image_spec: ImageSpec
    minimum: tuple[int, int]
    num_classes: int
    parameters: int
    multiply_adds: int
    top1: float | None = None
    top5: float | None = None
    cpu_ms: float | None = None
    gpu_ms: float | None = None
    weights: Pretrained | None = None
    ms: float | None = None

    @property
    def task(self) -> str:
        """The folder: what comes out of the model."""
        return self.name.partition("/")[0]

    @property
    def variant(self) -> str:
        """The name within its folder."""
        return self.name.partition("/")[2]

    @property
    def mb(self) -> float:
        """Megabytes (10^6) of its parameters in float32."""
        return self.parameters * 4 / 1e6


@cache
def _all() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for path in sorted(MODELS.glob("*/[!_]*.py")):
        literals = _literals(path)
        for variant in literals["VARIANTS"]:
            name = f"{path.parent.name}/{variant}"
            if name in found:
                raise ValueError(f"Two files define {name}: {found[name].module} and {path}.")
            card = dict(literals["CARDS"][variant])
            weights = card.pop("weights", None)
            found[name] = Entry(
                name=name,
                module=f"visus.models.{path.parent.name}.{path.stem}",
                image_spec=ImageSpec(**card.pop("image_spec")),
                weights=None if weights is None else Pretrained(**literals["WEIGHTS"][weights]),
                **card,
            )
    return found


def _literals(path: Path) -> dict[str, Any]:
    """The annotated assignments `VARIANTS`, `CARDS` and `WEIGHTS` of a model file, without importing it."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in ("VARIANTS", "CARDS", "WEIGHTS")
            and node.value is not None
        ):
            found[node.target.id] = ast.literal_eval(node.value)
    return found


def catalogue(task: str | None = None) -> dict[str, Entry]:
    """Every model that visus can build, by name.

    Args:
        task: A folder such as `classify`, or None for all.

    Returns:
        Name -> entry, in the order of the folders and files.

    Raises:
        InputError: There is no such task.

    Example:
        >>> catalogue("classify")["classify/efficientnet-lite0"].parameters
        4694024
    """
    entries = _all()
    tasks = sorted({entry.task for entry in entries.values()})
    if task is not None and task not in tasks:
        raise InputError(f"There is no task {task!r}. Choose one of: {', '.join(tasks)}.")
    return {name: entry for name, entry in entries.items() if task in (None, entry.task)}


def find(name: str) -> Entry:
    """The entry with that name; the folder may be left out where the variant is unique.

    Raises:
        InputError: There is no such model; the message names the nearest ones.

    Example:
        >>> find("lenet-5").name
        'classify/lenet-5'
    """
    entries = _all()
    matches = [entry for entry in entries.values() if name in (entry.name, entry.variant)]
    if len(matches) == 1:
        return matches[0]
    near = difflib.get_close_matches(name, [*entries, *(e.variant for e in entries.values())], 3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(f"There is no model named {name!r}.{hint} `visus models` lists all {len(entries)}.")


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """`(WordNet id, name)` of the 1,000 classes, in the order of the outputs.

    Example:
        >>> imagenet_classes()[0]
        ('n01440764', 'tench')
    """
    lines = (MODELS / "classify" / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple((line[:9], line[10:]) for line in lines if not line.startswith("#"))


# A constraint's name, the figure that it bounds, and whether the bound is an upper one.
CONSTRAINTS: dict[str, tuple[str, bool]] = {
    "under_ms": ("ms", True),
    "under_cpu_ms": ("cpu_ms", True),
    "under_gpu_ms": ("gpu_ms", True),
    "under_mb": ("mb", True),
    "under_parameters": ("parameters", True),
    "under_multiply_adds": ("multiply_adds", True),
    "min_top1": ("top1", False),
    "min_top5": ("top5", False),
}


def _meets(entry: Entry, constraint: str, bound: float) -> bool:
    figure, upper = CONSTRAINTS[constraint]
    value = getattr(entry, figure)
    return value is not None and (value <= bound if upper else value >= bound)


def pick(entries: Iterable[Entry], **constraints: float | None) -> list[Entry]:
    """The models that meet all constraints, the most accurate first.

    Args:
        entries: Candidates.
        constraints: Names of `CONSTRAINTS`, inclusive bounds; None means no bound. A model whose figure is
            not known does not meet a bound on it.

    Returns:
        At least one entry, by falling top-1 (models without one last), then by rising parameters.

    Raises:
        InputError: Nothing meets them; the message says which constraint fails and how near the best comes.

    Example:
        >>> [e.variant for e in pick(catalogue().values(), under_mb=30, min_top1=75)]
        ['efficientnet-b0', 'efficientnet-lite0']
    """
    candidates = list(entries)
    asked = {name: bound for name, bound in constraints.items() if bound is not None}
    unknown = sorted(asked.keys() - CONSTRAINTS.keys())
    if unknown:
        raise InputError(f"Unknown constraint {unknown[0]!r}. Choose from: {', '.join(CONSTRAINTS)}.")
    chosen = [e for e in candidates if all(_meets(e, name, bound) for name, bound in asked.items())]
    if not chosen:
        raise InputError(_why_none(candidates, asked))
    return sorted(chosen, key=lambda e: (-(e.top1 if e.top1 is not None else -1.0), e.parameters))


def _why_none(candidates: list[Entry], asked: Mapping[str, float]) -> str:
    reasons = []
    for name, bound in asked.items():
        if any(_meets(e, name, bound) for e in candidates):
            continue
        figure, upper = CONSTRAINTS[name]
        known = [(getattr(e, figure), e.name) for e in candidates if getattr(e, figure) is not None]
        if not known:
            reasons.append(f"{name} = {bound:g} fails, because {figure} is known of none of them")
            continue
        value, best = min(known) if upper else max(known)
        reasons.append(f"{name} = {bound:g} fails: the best {figure} is {value:g} ({best})")
    if not reasons:
        text = ", ".join(f"{name} = {bound:g}" for name, bound in asked.items())
        reasons.append(f"each of {text} can be met, but not all of them by one model; relax one")
    return f"None of the {len(candidates)} models fits. " + "; ".join(reasons) + "."


def pareto(entries: Iterable[Entry], cost: str = "mb", gain: str = "top1") -> list[Entry]:
    """The models that no other beats in both cost and gain.

    Args:
        entries: Candidates; those without either figure are left out.
        cost: The figure to keep small: `mb`, `parameters`, `multiply_adds`, `ms`, `cpu_ms` or `gpu_ms`.
        gain: The figure to have large: `top1` or `top5`.

    Returns:
        The front, by rising cost and so by rising gain.

    Example:
        >>> [e.variant for e in pareto(catalogue().values())][:2]
        ['mobilenet-v2', 'efficientnet-lite0']
    """
    known = [e for e in entries if getattr(e, cost) is not None and getattr(e, gain) is not None]
    front: list[Entry] = []
    for entry in sorted(known, key=lambda e: (getattr(e, cost), -getattr(e, gain))):
        if not front or getattr(entry, gain) > getattr(front[-1], gain):
            front.append(entry)
    return front
