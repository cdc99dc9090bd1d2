"""The runtimes, one file each; every file holds the same names.

- `PACKAGES`: the distributions whose versions a compiled model depends on.
- `PIECE`: how many pictures the runtime computes at once. A batch is cut into pieces of this size: 1 wherever
  one picture is as quick alone as in a batch, because then a picture's result does not depend on its
  neighbours, to the last bit, and memory does not grow with the batch.
- `available()`: whether it can be imported on this machine, without importing it.
- `convert(model, folder)`: writes the compiled form of a Keras model into the folder.
- `load(folder, threads, model)`: a function from float32 `(B, height, width, channels)` to the list of
  outputs, in the alphabetical order of their names. Whoever has the folder needs no model.
"""
