"""Pages: one file, everything escaped, nothing fetched."""

import base64
import io
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from visus.draw import Badge, Link, Page, thumbnail
from visus.draw.page import escape, number
from visus.draw.thumbnail import data_uri
from visus.structures import Estimate

HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.png',
    "' onmouseover='alert(1)",
    "cat\x1b[31m\x00.jpg",
    "gpj.\u202eexe",
    "undecodable\udcff.jpg",
    "</style></title></details>",
    "&lt;already&gt;",
]


class _Elements(HTMLParser):
    """What a browser would find in the page, and whether every element is closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def _picture(height: int = 90, width: int = 130) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width, np.full_like(rows, 40)], -1).astype(
        np.uint8
    )


def _everything(texts: list[str]) -> Page:
    page = Page(texts[0], texts[1])
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 2], [3, 4])
    for text in texts:
        page.heading(text)
        page.heading(text, level=3)
        page.paragraph(text)
        page.items([text])
        page.code(text)
        page.callout(text, "error", title=text)
        page.key_figures({text: text})
        page.table([text, "n"], [[text, 1.0], [Badge(text, "note"), None]], caption=text, bars={"n": 2.0})
        page.figure(figure, caption=text, alt=text)
        page.image(_picture(), caption=text)
        page.gallery([(_picture(), text), (None, text)])
        with page.section(text):
            page.paragraph(text)
    return page


def test_hostile_texts_stay_text():
    html = _everything(HOSTILE).to_html()
    page = _Elements(html)
    tags = {tag for tag, _ in page.found}
    assert "script" not in tags
    for _, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")]
    for text in ("<script>alert(1)</script>.jpg", "&lt;already&gt;", "</style></title></details>"):
        assert page.text.count(text) >= 12, text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff]", html)
    assert r"cat\x1b[31m\x00.jpg" in html
    assert r"gpj.\u202eexe" in html


def test_page_refers_to_nothing_outside():
    html = _everything(HOSTILE).to_html()
    for tag, attributes in _Elements(html).found:
        assert tag not in {"link", "script", "iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "data", "poster", "action", "background"):
            if name in attributes:
                assert re.match(r"data:image/(svg\+xml|png|jpeg);base64,|#s\d+$", attributes[name])
    assert "url(" not in html
    assert "@import" not in html
    assert "//" not in re.sub(r"data:[^\"]*", "", html)
    assert "default-src 'none'" in html


def test_svg_figures_are_pictures_that_parse():
    page = Page("figure")
    figure = Figure(figsize=(4, 2))
    figure.subplots().plot(range(5))
    page.figure(figure, caption="rising", alt="a line")
    [(_, image)] = [e for e in _Elements(page.to_html()).found if e[0] == "img"]
    assert image["alt"] == "a line"
    assert b"<svg" in base64.b64decode(image["src"].split(",")[1])


def test_equal_figures_are_equal_bytes_and_no_setting_of_the_process_changes(monkeypatch):
    class Elsewhere(Text):
        """What another thread sets while this figure is drawn must stay."""

        def draw(self, renderer):
            assert matplotlib.rcParams["svg.hashsalt"] is None
            matplotlib.rcParams["lines.linewidth"] = 7.25
            super().draw(renderer)

    def page():
        figure = Figure(figsize=(4, 2))
        axes = figure.subplots()
        axes.plot(range(5), marker="o")
        axes.scatter([1, 2], [3, 3], [9, 16])
        axes.bar([1], [2], hatch="/")
        axes.add_artist(Elsewhere(0, 0, "text"))
        page = Page("figure")
        page.figure(figure)
        return page.to_html()

    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 1.5)
    first = page()
    assert matplotlib.rcParams["lines.linewidth"] == 7.25
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 1.5)
    assert page() == first
    uri = re.search('src="data:image/svg[+]xml;base64,([^"]+)"', first)[1]
    svg = base64.b64decode(uri).decode()
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert {*re.findall(r'(?:href="|url\()#([^")]+)', svg)} <= {
        *ids
    }  # clips, markers, hatches are still found
    assert not re.search(r'[#"][a-z]*[0-9a-f]{10}[")]', svg)


def test_a_heavy_figure_becomes_a_png():
    page = Page("figure")
    figure = Figure(figsize=(4, 2))
    axes = figure.subplots()
    axes.scatter(*np.random.default_rng(0).normal(size=(2, 20_000)), s=2)
    page.figure(figure)
    [(_, image)] = [e for e in _Elements(page.to_html()).found if e[0] == "img"]
    assert image["src"].startswith("data:image/png;base64,")
    assert len(image["src"]) < 400_000


def test_the_same_page_twice_is_the_same_text():
    assert _everything(["a", "b"]).to_html() == _everything(["a", "b"]).to_html()


def test_table_aligns_numbers_and_draws_bars():
    page = Page("t")
    page.table(
        ["name", "share"], [["a", 0.25], ["b", Estimate(0.5, 0.4, 0.6)], ["c", None]], bars={"share": 1.0}
    )
    html = page.to_html()
    assert '<td class="left">a</td><td class="right" style="--w:25.0%">0.250</td>' in html
    assert (
        '<td class="right" style="--w:50.0%">0.500 <span class="interval">[0.400, 0.600]</span></td>' in html
    )
    assert '<td class="right"></td>' in html


def test_table_shows_at_most_its_limit_and_counts_the_rest():
    page = Page("t")
    page.table(["i"], ([i] for i in range(1210)), limit=10)
    html = page.to_html()
    assert html.count("<tr>") == 11
    assert "and 1,200 more rows" in html


def test_empty_table_keeps_its_header():
    page = Page("t")
    page.table(["a", "b"], [])
    assert '<th class="left">a</th><th class="left">b</th>' in page.to_html()


def test_key_figures_show_their_interval():
    page = Page("k")
    page.key_figures(
        {"accuracy": Estimate(0.8734, 0.8461, 0.8966), "pictures": 12345, "AP": Estimate(float("nan"))}
    )
    text = _Elements(page.to_html()).text
    assert "0.873[0.846, 0.897]accuracy" in text
    assert "12,345pictures" in text
    assert "n/aAP" in text


def test_gallery_reads_no_more_pictures_than_it_shows():
    taken = []

    def pictures():
        for i in range(1000):
            taken.append(i)
            yield _picture(), f"no. {i}\nsecond line"

    page = Page("g")
    page.gallery(pictures(), limit=7, total=1000)
    html = page.to_html()
    assert len(taken) == 7
    assert html.count("<img") == 7
    assert "no. 6<br>second line" in html
    assert "and 993 more" in html


def test_page_of_sixty_large_pictures_stays_small():
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    page = Page("g")
    page.gallery((noise, str(i)) for i in range(60))
    assert len(page.to_html()) < 1_500_000


def test_contents_appear_with_three_headings():
    page = Page("c")
    page.heading("one")
    page.heading("two")
    assert "<nav>" not in page.to_html()
    page.heading("th<ree")
    assert '<a href="#s3">th&lt;ree</a>' in page.to_html()
    assert '<h2 id="s3">th&lt;ree</h2>' in page.to_html()
    with pytest.raises(ValueError, match="level 2, 3 or 4"):
        page.heading("title", level=1)


def test_write_is_atomic_and_makes_the_folder(tmp_path):
    page = Page("w")
    page.paragraph("größer \udcff")
    path = page.write(tmp_path / "new" / "page.html")
    assert path.read_text(encoding="utf-8") == page.to_html()
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


def test_section_closes_when_its_block_fails():
    page = Page("s")
    with pytest.raises(RuntimeError), page.section("details"):
        raise RuntimeError
    _Elements(page.to_html())


def test_numbers_as_people_write_them():
    values = (0, 1234, 0.5, -0.1234, 99.96, 123456.7, True, np.int64(5000), np.float32(0.25))
    assert " ".join(map(number, values)) == "0 1,234 0.500 -0.123 100.0 123,457 yes 5,000 0.250"
    assert number(float("inf")) == "inf"
    assert escape("naïve 日本\n&") == "naïve 日本\n&amp;"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((400, 800, 3), (80, 160, 3)),
        ((800, 400), (160, 80, 3)),
        ((28, 20, 1), (28, 20, 3)),
        ((1, 5000), (1, 160, 3)),
    ],
)
def test_thumbnail_sizes(shape, expected):
    assert thumbnail(np.full(shape, 77, np.uint8)).shape == expected
    assert (thumbnail(np.full(shape, 77, np.uint8)) == 77).all()


def test_thumbnail_averages_areas():
    image = np.arange(64 * 96, dtype=np.uint32).reshape(64, 96) % 251
    image = image.astype(np.uint8)
    small = thumbnail(image, 24)
    means = image.reshape(16, 4, 24, 4).mean((1, 3))
    assert np.abs(small[:, :, 1] - means).max() <= 0.51


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_thumbnail_refuses_what_is_no_picture(bad):
    with pytest.raises(ValueError, match="uint8 picture of shape"):
        thumbnail(bad)


def test_data_uri_is_decodable_and_in_rgb_order():
    kind, _, data = data_uri(_picture(40, 60)).partition(",")
    assert kind == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == _picture(40, 60)).all()
    kind, _, data = data_uri(_picture(100, 160)).partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)
    assert np.abs(decoded - _picture(100, 160)).mean() < 3


def test_links_lead_to_files_near_the_page_and_nowhere_else():
    page = Page("links")
    hostile = [
        "javascript:alert(1)",
        "//example.org/x",
        "http://example.org",
        'a" onclick="x',
        "bad\udcff.png",
    ]
    page.table(["file"], [[Link("<report>", "a run/report.html")], *([Link("x", name)] for name in hostile)])
    found = re.findall(r'<a href="([^"]*)">', page.to_html())
    assert found == [
        "./a%20run/report.html",
        "./javascript%3Aalert%281%29",
        ".///example.org/x",
        "./http%3A//example.org",
        "./a%22%20onclick%3D%22x",
        "./bad%FF.png",
    ]
    assert "&lt;report&gt;" in page.to_html()
    base = "file:///home/me/page.html"
    assert all(urljoin(base, each).startswith("file:///home/me/") for each in found)
