"""Anchors: published shapes and counts, and k-means by hand."""

import numpy as np
import pytest

from visus.geometry import anchors as a


def test_the_shapes_of_region_proposals():
    sizes = a.shapes([128**2, 256**2, 512**2], [0.5, 1, 2])
    assert np.allclose(sizes[:3], [[181.0193, 90.5097], [128, 128], [90.5097, 181.0193]], atol=1e-4)
    assert np.allclose(sizes.prod(axis=1), np.repeat([128**2, 256**2, 512**2], 3))


def test_a_grid_goes_row_by_row_and_cell_by_cell():
    boxes = a.grid((2, 3), (10, 16), [(4, 2), (2, 4)])
    assert boxes.shape == (12, 4)
    assert boxes[0].tolist() == [6, 4, 10, 6]
    assert boxes[1].tolist() == [7, 3, 9, 7]
    assert boxes[2].tolist() == [22, 4, 26, 6]
    assert boxes[6].tolist() == [6, 14, 10, 16]


def test_the_scales_of_ssd():
    assert np.allclose(a.ssd_scales(6), [0.2, 0.34, 0.48, 0.62, 0.76, 0.9])
    scales = a.ssd_scales(6, 0.2, 0.95)
    assert np.allclose(scales, [0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
    extra = [shapes[-1, 0] for shapes in a.ssd_shapes(scales, [(1.0,)] * 6)]
    assert np.allclose(extra, [0.264575, 0.418330, 0.570088, 0.721110, 0.871780, 0.974679], atol=1e-6)
    assert a.ssd_scales(1) == [0.2]


@pytest.mark.parametrize(
    ("maps", "ratios", "reduce", "count"),
    [
        ([38, 19, 10, 5, 3, 1], [3, 5, 5, 5, 3, 3], False, 8732),
        ([19, 10, 5, 3, 2, 1], [5] * 6, True, 1917),
        ([64, 32, 16, 8, 4, 2, 1], [3, 5, 5, 5, 5, 3, 3], False, 24564),
    ],
)
def test_the_number_of_default_boxes(maps, ratios, reduce, count):
    all_ratios = (1.0, 2.0, 0.5, 3.0, 1 / 3)
    wanted = [all_ratios[:n] for n in ratios]
    shapes = a.ssd_shapes(a.ssd_scales(len(maps)), wanted, reduce_lowest=reduce)
    assert sum(len(a.grid((m, m), 300 / m, 300 * s)) for m, s in zip(maps, shapes)) == count


def test_ratios_keep_the_area():
    (boxes,) = a.ssd_shapes([0.5], [(1, 2, 0.5)])
    assert np.allclose(
        boxes, [[0.5, 0.5], [0.707107, 0.353553], [0.353553, 0.707107], [0.707107, 0.707107]], atol=1e-6
    )


def test_k_means_by_hand():
    sizes = [(10, 10), (12, 12), (11, 9), (50, 60), (55, 50), (52, 58)]
    fitted = a.fit(sizes, 2)
    assert np.allclose(fitted.sizes, [[11, 10.333333], [52.333333, 56]])
    assert fitted.mean_iou == pytest.approx(0.874674, abs=1e-6)
    assert a.fit(sizes, 6).mean_iou == 1
    assert np.allclose(a.fit(sizes, 2, median=True).sizes, [[11, 10], [52, 58]])


def test_more_anchors_fit_better_and_the_seed_decides():
    sizes = np.exp(np.random.default_rng(0).normal(4, 0.7, (300, 2)))
    means = [a.fit(sizes, k).mean_iou for k in (1, 3, 5, 9)]
    assert means == sorted(means)
    assert np.array_equal(a.fit(sizes, 5).sizes, a.fit(sizes, 5).sizes)


def test_an_empty_cluster_starts_again():
    fitted = a.fit([(10, 10)] * 20 + [(90, 30)], 2)
    assert fitted.sizes.tolist() == [[10, 10], [90, 30]]


def test_what_cannot_be_fitted():
    with pytest.raises(ValueError, match=r"1\.\.2.*Received 3"):
        a.fit([(1, 1), (2, 2)], 3)
    with pytest.raises(ValueError, match="above 0"):
        a.fit([(1, 0)], 1)
