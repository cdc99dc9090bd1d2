"""Layers and blocks of neural networks that Keras does not have, or not as fast."""
