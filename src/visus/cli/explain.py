"""`visus explain MODEL PICTURES --out DIR`: what in each picture speaks for its class."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visus.cli._options import Json, Model, Pictures
from visus.cli._output import message, print_json, print_table
from visus.cli._pictures import Named, claim, named_pictures, shown
from visus.structures import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("grad-cam", "occlusion")


def explain(
    model: Model,
    pictures: Pictures,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and explain.json.", show_default=False)],
    class_name: Annotated[
        str | None, typer.Option("--class", help="The class to explain; by default the predicted one.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="grad-cam (fast) or occlusion (asks only the output).")
    ] = "grad-cam",
    layer: Annotated[str | None, typer.Option(help="Grad-CAM: the layer to look at.")] = None,
    json: Json = False,
) -> None:
    """Show where in a picture the evidence for a class lies.

    Exit code 0: every picture was explained. 1: some could not be read. 2: wrong usage.
    """
    if method not in METHODS:
        raise InputError(f"The method is one of {', '.join(METHODS)}. Received {method!r}.")
    from visus.models.archive import model_file
    from visus.predict import Predictor

    file = model_file(model)  # refuses what is no model before Keras is imported
    from visus.models import load

    network = load(file)
    names = network.class_names
    if class_name is not None and class_name not in names:
        raise InputError(f"The model knows no class {class_name!r}. Choose one of: {', '.join(names)}.")
    predictor = Predictor(network, runtime="auto" if method == "occlusion" else "keras")
    if method == "occlusion":
        from visus.explain.occlusion import occlusion

        def heat(image: Any, index: int) -> Any:
            return occlusion(predictor.runtimes[0], image, class_index=index)
    else:
        from visus.explain.grad_cam import grad_cam

        def heat(image: Any, index: int) -> Any:
            return grad_cam(network, image, class_index=index, layer=layer)

    rows: list[dict[str, Any]] = []
    chosen = named_pictures(pictures)
    claim(out)
    for named in chosen:
        prediction = next(predictor(named.path))
        if prediction.result is None:
            rows.append({"path": shown(named.path), "error": prediction.error})
            message(str(prediction.error))
            continue
        scores = prediction.result.scores
        index = prediction.result.label if class_name is None else names.index(class_name)
        assert scores is not None
        assert index is not None
        rows.append(
            {
                "path": shown(named.path),
                "predicted": prediction.result.top(1, names)[0][0],
                "class": names[index],
                "score": float(scores[index]),
                **_explained(
                    named, lambda image, index=index: heat(image, index), names[index], scores[index], out
                ),
            }
        )
    errors = sum("error" in row for row in rows)
    document = {"model": model, "method": method, "pictures": rows, "errors": errors}
    out.mkdir(parents=True, exist_ok=True)
    partial = out / ".explain.json.part"
    partial.write_text(json_text.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(out / "explain.json")
    if json:
        print_json(document)
    else:
        cells = [(row["path"], row["class"], f"{row['score']:.1%}") for row in rows if "error" not in row]
        print_table(f"{method}: pictures in {out}", ("picture", "class", "score"), cells)
    if errors:
        raise typer.Exit(1)


def _explained(
    named: Named, heat: Callable[..., Any], class_name: str, score: float, out: Path
) -> dict[str, Any]:
    """Writes the picture with its heat map; where the map is hottest, and how much of the picture is hot."""
    import numpy as np

    from visus.draw.heatmap import overlay
    from visus.draw.text import caption
    from visus.image.io import read, write

    image = read(named.path)
    found = heat(image)
    target = named.beside(out)
    write(target, caption(overlay(image, found), f"{class_name} {score:.0%}"))
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return {
        "explanation": str(target),
        "peak": [int(column), int(row)] if found.max() > 0 else None,
        "hot_share": float((found >= 0.5).mean()),
    }
