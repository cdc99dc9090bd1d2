"""Boxes in the plane: measures, suppression, codes, anchors and matching, for NumPy arrays and Keras tensors alike.

Every box here is a row `x1, y1, x2, y2` in continuous pixels (`xyxy`): pixel (row r, column c) covers
`[c, c + 1) x [r, r + 1)`, width is `x2 - x1`. Other forms are converted at the border, by `visus.geometry.boxes`.
"""
