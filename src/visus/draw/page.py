"""One self-contained HTML page: text, tables, figures and pictures, with nothing fetched from anywhere.

Training reports, the data check and comparisons are shown to other people, opened from a memory stick or
attached to a mail. So a page is one file: inline style (light and dark), pictures as `data:` URIs, no script.
Every text is escaped, because file and class names come from strangers; a content security policy in the page
forbids the browser to load anything, should an escape ever be missed.
"""

from __future__ import annotations

import base64
import html
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from visus.draw.thumbnail import data_uri, is_tiny, thumbnail
from visus.structures import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tone = Literal["good", "note", "warning", "error", "plain"]
Align = Literal["left", "right"]

_NUMBERS = (int, float, np.integer, np.floating)
_STYLE = Path(__file__).with_name("page.css")
_SVG_LIMIT = 400_000  # bytes; a figure with more (ten thousand points, say) is drawn as PNG instead


@dataclass(frozen=True)
class Badge:
    """A table cell shown as a small coloured label, such as a severity.

    Attributes:
        text: What it says.
        tone: Its colour: good, note, warning, error or plain.
    """

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Link:
    """A table cell that leads to a file near the page.

    Attributes:
        text: What it says.
        file: The file, relative to the page's folder; never an address.
    """

    text: str
    file: str


class Page:
    """Builds one self-contained HTML page, top to bottom.

    Each method adds one block and returns None. Cells and captions may be any value: text is escaped, numbers
    are formatted, an `Estimate` shows its interval.

    Args:
        title: Shown at the top and in the browser's tab.
        subtitle: A line below it.

    Example:
        >>> page = Page("Flowers", "5 classes, 250 pictures")
        >>> page.key_figures({"accuracy": Estimate(0.8731, 0.8462, 0.8969), "pictures": 250})
        >>> page.heading("Classes")
        >>> page.table(["class", "F1"], [["daisy", 0.91], ["rose", 0.84]], bars={"F1": 1.0})
        >>> "0.873" in page.to_html()
        True
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self._blocks: list[str] = []
        self._headings: list[str] = []

    def heading(self, text: str, level: int = 2) -> None:
        """A heading; those of level 2 also stand in the list of contents at the top.

        Raises:
            ValueError: `level` is not 2, 3 or 4 (1 is the title).
        """
        if level not in (2, 3, 4):
            raise ValueError(f"A heading has level 2, 3 or 4. Received {level}.")
        anchor = ""
        if level == 2:
            self._headings.append(text)
            anchor = f' id="s{len(self._headings)}"'
        self._blocks.append(f"<h{level}{anchor}>{escape(text)}</h{level}>")

    def paragraph(self, text: str) -> None:
        """A paragraph of plain text."""
        self._blocks.append(f"<p>{escape(text)}</p>")

    def items(self, texts: Iterable[str]) -> None:
        """A bulleted list."""
        self._blocks.append("<ul>" + "".join(f"<li>{escape(t)}</li>" for t in texts) + "</ul>")

    def code(self, text: str) -> None:
        """Text in a fixed-width font, such as a command to copy."""
        self._blocks.append(f"<pre><code>{escape(text)}</code></pre>")

    def callout(self, text: str, tone: Tone = "note", title: str = "") -> None:
        """A coloured box: a verdict, a warning, what to try next."""
        head = f"<strong>{escape(title)}</strong> " if title else ""
        self._blocks.append(f'<div class="callout {tone}">{head}{escape(text)}</div>')

    def key_figures(self, figures: Mapping[str, Any]) -> None:
        """A row of large figures.

        Args:
            figures: Label -> number, text or `Estimate`; an `Estimate` shows its interval below the value.
        """
        cards = []
        for label, value in figures.items():
            interval = ""
            if isinstance(value, Estimate) and not math.isnan(value.low):
                interval = f'<span class="interval">[{value.low:.3f}, {value.high:.3f}]</span>'
                value = value.value
            cards.append(
                f'<div class="card"><span class="value">{_cell(value)}</span>{interval}'
                f'<span class="label">{escape(label)}</span></div>'
            )
        self._blocks.append(f'<div class="cards">{"".join(cards)}</div>')

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        caption: str = "",
        align: Sequence[Align] | None = None,
        bars: Mapping[str, float] | None = None,
        limit: int = 500,
    ) -> None:
        """A table.

        Args:
            header: Column names.
            rows: Cells: text, numbers, `Estimate`, `Badge`, `Link`, or None for an empty one.
            caption: A line above the table.
            align: For each column `left` or `right`; by default numbers stand right.
            bars: Column name -> the value of a full bar, drawn behind the number.
            limit: At most so many rows are shown; a last line counts the others.
        """
        rows = [list(row) for row in rows]
        sides: Sequence[Align] = align or [_side(column) for column in zip(*rows)] or ["left"] * len(header)
        full = {header.index(name): value for name, value in (bars or {}).items()}
        out = ['<div class="scroll"><table>']
        if caption:
            out.append(f"<caption>{escape(caption)}</caption>")
        head = "".join(f'<th class="{a}">{escape(name)}</th>' for name, a in zip(header, sides))
        out.append(f"<thead><tr>{head}</tr></thead><tbody>")
        for row in rows[:limit]:
            cells = []
            for i, (cell, a) in enumerate(zip(row, sides)):
                style = _bar(cell, full[i]) if i in full else ""
                cells.append(f'<td class="{a}"{style}>{_cell(cell)}</td>')
            out.append(f"<tr>{''.join(cells)}</tr>")
        out.append("</tbody></table></div>")
        if len(rows) > limit:
            out.append(f'<p class="more">and {len(rows) - limit:,} more rows</p>')
        self._blocks.append("".join(out))

    def figure(self, figure: Figure, *, caption: str = "", alt: str = "", photo: bool = False) -> None:
        """A matplotlib figure, as SVG, or as PNG where the SVG would be large.

        Make it with `matplotlib.figure.Figure(...)`, not with pyplot, and nothing needs to be closed.

        Args:
            figure: The figure, with a white background.
            caption: A line below it.
            alt: What it shows, for those who cannot see it; by default the caption.
            photo: The figure holds photographs, so a dark page must not turn its light into dark.
        """
        kind, buffer = "svg+xml", io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight", facecolor="white", metadata={"Date": None})
        data = _numbered(buffer.getvalue())
        if len(data) > _SVG_LIMIT:
            kind, buffer = "png", io.BytesIO()
            figure.savefig(buffer, format="png", bbox_inches="tight", facecolor="white", dpi=130)
            data = buffer.getvalue()
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        self._picture(uri, caption, alt or caption, "photo" if photo else "plot")

    def image(self, image: NDArray[np.uint8], *, caption: str = "", side: int = 1200) -> None:
        """One large picture, such as a contact sheet or an annotated photograph.

        Args:
            image: uint8 `(height, width, 3)` RGB or `(height, width)` gray.
            caption: A line below it.
            side: Its longer side is shrunk to this many pixels.
        """
        self._picture(data_uri(thumbnail(image, side)), caption, caption, "photo")

    def gallery(
        self,
        pictures: Iterable[tuple[NDArray[np.uint8] | None, Any]],
        *,
        limit: int = 60,
        side: int = 160,
        aspect: float = 1.0,
        total: int | None = None,
    ) -> None:
        """Thumbnails with captions.

        Args:
            pictures: `(image, caption)`: uint8 RGB or gray, or None for one that cannot be shown; a caption
                may have several lines. At most `limit` are taken, so a generator reads no more files.
            limit: At most so many are shown.
            side: Longer side of a thumbnail, pixels.
            aspect: Width of a place over its height; 2 for two pictures side by side.
            total: How many there are in all, where that is more than `pictures` yields: a last line says so.
        """
        tiles = []
        for image, caption in islice(pictures, limit):
            if image is None:
                shown = '<div class="missing">no picture</div>'
            else:
                pixelated = ' class="tiny"' if is_tiny(image) else ""
                shown = f'<img{pixelated} src="{data_uri(thumbnail(image, side))}" alt="" loading="lazy">'
            lines = escape(str(caption)).replace("\n", "<br>")
            tiles.append(f"<figure>{shown}<figcaption>{lines}</figcaption></figure>")
        style = f"--side:{side}px;--aspect:{aspect:g}"
        self._blocks.append(f'<div class="gallery" style="{style}">{"".join(tiles)}</div>')
        if total is not None and total > len(tiles):
            self._blocks.append(f'<p class="more">and {total - len(tiles):,} more</p>')

    @contextmanager
    def section(self, title: str, *, open: bool = False) -> Iterator[None]:
        """A section that the reader can fold; what is added inside the `with` block belongs to it."""
        self._blocks.append(f"<details{' open' if open else ''}><summary>{escape(title)}</summary>")
        try:
            yield
        finally:
            self._blocks.append("</details>")

    def to_html(self) -> str:
        """The whole page as text."""
        contents = ""
        if len(self._headings) > 2:
            links = (f'<a href="#s{i}">{escape(text)}</a>' for i, text in enumerate(self._headings, 1))
            contents = f"<nav>{''.join(links)}</nav>"
        subtitle = f'<p class="subtitle">{escape(self.subtitle)}</p>' if self.subtitle else ""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="referrer" content="no-referrer">'
            f'<meta name="generator" content="{_maker()}">'
            f"<title>{escape(self.title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>\n<body>"
            f"<header><h1>{escape(self.title)}</h1>{subtitle}{contents}</header>\n<main>\n"
            + "\n".join(self._blocks)
            + f"\n</main><footer>{_maker()}</footer></body></html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page atomically; a reader never sees half of it.

        Returns:
            The path. Its folder is made if need be.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_text(self.to_html(), encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path

    def _picture(self, uri: str, caption: str, alt: str, kind: str) -> None:
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        self._blocks.append(
            f'<figure class="{kind}"><img src="{uri}" alt="{escape(alt)}" loading="lazy">{below}</figure>'
        )


def escape(text: Any) -> str:
    r"""Text made safe for any place in the page.

    HTML is escaped. Characters that print nothing, reverse the writing direction (used to hide a suffix) or
    stand for undecodable bytes of a file name are shown as Python escapes, line feeds excepted.

    Example:
        >>> escape('<b>"x"</b>\x1b')
        '&lt;b&gt;&quot;x&quot;&lt;/b&gt;\\x1b'
    """
    visible = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))
    return html.escape(visible, quote=True)


def number(value: Any) -> str:
    """A number as people write it: `1,234`, `0.873`, `12.5`, `n/a` for NaN.

    Example:
        >>> number(1234), number(0.8731), number(12.482), number(float("nan"))
        ('1,234', '0.873', '12.5', 'n/a')
    """
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else str(value)
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def _numbered(svg: bytes) -> bytes:
    """An SVG of matplotlib with numbers for its random ids, so that equal figures are equal bytes.

    Its own setting for that, `svg.hashsalt`, would have to be changed for the whole process.
    """
    found = dict.fromkeys(re.findall(rb'id="(\w*[0-9a-f]{10})"', svg))
    numbers = {name: b"id%d" % i for i, name in enumerate(found)}
    return re.sub(rb'(?<=["#])\w*[0-9a-f]{10}(?=[")])', lambda m: numbers.get(m[0], m[0]), svg)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Badge):
        return f'<span class="badge {value.tone}">{escape(value.text)}</span>'
    if isinstance(value, Link):  # the dot and the quoted colon keep it from being an address or a script
        return f'<a href="./{quote(os.fsencode(value.file))}">{escape(value.text)}</a>'
    if isinstance(value, Estimate):
        if math.isnan(value.low):
            return number(value.value)
        return f'{number(value.value)} <span class="interval">[{value.low:.3f}, {value.high:.3f}]</span>'
    if isinstance(value, _NUMBERS):
        return number(value)
    return escape(value).replace("\n", "<br>")


def _side(column: Sequence[Any]) -> Align:
    cells = [c for c in column if c is not None]
    return "right" if cells and all(isinstance(c, (*_NUMBERS, Estimate)) for c in cells) else "left"


def _bar(cell: Any, full: float) -> str:
    value = cell.value if isinstance(cell, Estimate) else cell
    if not isinstance(value, _NUMBERS) or not math.isfinite(value) or full <= 0:
        return ""
    return f' style="--w:{100 * min(max(value / full, 0.0), 1.0):.1f}%"'


def _maker() -> str:
    try:
        return f"visus {version('visus')}"
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "visus"
