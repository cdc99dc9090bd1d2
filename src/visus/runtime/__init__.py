"""The quickest way to run a model on this machine: compiled once, checked against Keras, kept in a cache.

Example:
    >>> from visus import runtime
    >>> run = runtime.compile("runs/flowers/model.keras")           # doctest: +SKIP
    >>> run(batch)["logits"].shape, run.kind, run.parity            # doctest: +SKIP
    ((1, 5), 'litert', 2.1e-07)
"""

from visus.runtime.compiled import Runtime, compile

__all__ = ["Runtime", "compile"]
