"""Callbacks: what happens around the batches and epochs of a training.

Any Keras callback works in visus. Keras' own are used where they do what is wanted: `History` (which `fit`
returns), `LambdaCallback` (a function becomes a callback), `LearningRateScheduler` (a rate by epoch and old
rate), `RemoteMonitor` (with the package `requests`), `BackupAndRestore`. Those here differ on purpose:

| here | instead of Keras' | because |
|---|---|---|
| `EarlyStopping` | the same name | restores the best weights by default, ignores NaN, can be resumed |
| `ReduceLROnPlateau` | the same name | ignores NaN, can be resumed |
| `StopOnNaN` | `TerminateOnNaN` | names the step and the pictures, and keeps stdout clean |
| `CSVLog`, `JSONLinesLog` | `CSVLogger` | never half a row, no doubled rows after resuming |
| `TensorBoard` | the same name | needs neither TensorFlow nor the `tensorboard` package |
| `EvaluateAverage` | `SwapEMAWeights` | exchanges weights exactly, also with an early stop |
| `SaveModel` | `ModelCheckpoint` | no half files, every so many epochs, batches or seconds, keeps the newest n |
| `Progress`, `PrintEvery` | `ProgbarLogger` | write to stderr, tell the time left of everything |

Without a counterpart there: `BatchLosses`, `MemoryReport`, `TimeBudget`, `LiveCurves`, `PredictionGrid`, and
`visus.train.schedules.Scheduled`. The hooks come in this order: train begin; for each epoch: epoch begin,
begin and end of each batch, test begin, begin and end of each test batch, test end, epoch end; train end.
`logs` is empty at every begin; at the end of a batch it holds the means so far, at the end of an epoch those
of the epoch and, with validation data, the same names with `val_` in front; at the end of training those of
the last epoch. Setting `self.model.stop_training = True` anywhere ends training after the current batch,
validation included.
"""

from visus.train.callbacks.averaging import EvaluateAverage, averaged_weights
from visus.train.callbacks.check import check_callbacks
from visus.train.callbacks.logs import BatchLosses, CSVLog, JSONLinesLog, MemoryReport
from visus.train.callbacks.memory import Remembering, restore_states, states
from visus.train.callbacks.monitor import Monitor, direction, look_up
from visus.train.callbacks.pictures import LiveCurves, PredictionGrid
from visus.train.callbacks.plateau import ReduceLROnPlateau
from visus.train.callbacks.progress import PrintEvery, Progress
from visus.train.callbacks.saving import SaveModel, checkpoint_name, latest_checkpoint
from visus.train.callbacks.stopping import EarlyStopping, StopOnNaN, TimeBudget
from visus.train.callbacks.tensorboard import TensorBoard

__all__ = [
    "BatchLosses",
    "CSVLog",
    "EarlyStopping",
    "EvaluateAverage",
    "JSONLinesLog",
    "LiveCurves",
    "MemoryReport",
    "Monitor",
    "PredictionGrid",
    "PrintEvery",
    "Progress",
    "ReduceLROnPlateau",
    "Remembering",
    "SaveModel",
    "StopOnNaN",
    "TensorBoard",
    "TimeBudget",
    "averaged_weights",
    "check_callbacks",
    "checkpoint_name",
    "direction",
    "latest_checkpoint",
    "look_up",
    "restore_states",
    "states",
]
