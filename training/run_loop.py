"""The course of a run: from its last checkpoint, or the beginning, to its end."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import takewhile
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_unet.utils.atomic_files import written_aside

from .checkpoints import UNREADABLE, Checkpoints, Progress, read, restore, snapshot
from .config import Config, ConfigError
from .config_sections import SMALLER_IS_BETTER
from .dead_filters import TILES, advice, columns
from .distribution import Workers
from .hyperparameters import flattened
from .input_failures import input_explained, keep_batch, out_of_memory
from .monitoring import Bar, Board, CsvLog, Say, last_step, panel
from .run_folder import RunFolder, is_whole
from .stop_signals import StopRequest
from .trainer import DivergedError, Trainer

_PANELS = 4


class Course:
    """Trains, validates, logs and stores, each in its turn.

    Every stop of the loop (log, validation, checkpoint) is at a step that follows from the settings alone, so that a
    resumed run stops where an uninterrupted one would. SIGINT and SIGTERM leave a checkpoint at the step they come in;
    a validation that they cut short is made anew.

    Args:
        trainer: With fresh weights; those of the last checkpoint are put in.
        config: Of which the section `[training]` decides the course; all of it is told to TensorBoard.
        folder: Where everything goes.
        batches_from: The training dataset from a batch number on.
        validation: Dataset of validation tiles, or None.
        say: Takes lines for the user.
        whole_images: Figures of whole validation images, taken at every validation beside those of the tiles; None for
            none.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: Config,
        folder: RunFolder,
        batches_from: Callable[[int], tf.data.Dataset],
        validation: tf.data.Dataset | None,
        say: Say = print,
        whole_images: Callable[[], dict[str, float]] | None = None,
    ) -> None:
        self._trainer, self._config, self._settings, self._folder = trainer, config, config.training, folder
        self._batches_from, self._validation, self._say = batches_from, validation, say
        self._whole_images = whole_images or dict
        self._checkpoints = Checkpoints(folder.checkpoints, config.training.keep_checkpoints)
        self._workers = Workers(trainer.strategy)
        self._validated: dict[str, float] = {}
        self._warned = False

    def to_the_end(self) -> Progress:
        """Train until a reason to end: all steps done, no improvement, or no time left.

        Raises:
            DivergedError: If loss or weights are no longer finite; the batch is written, the last checkpoint stays.
            ConfigError: If a step does not fit into the memory of the device; smaller sizes are named. If the model of
                the best step is gone, and its checkpoint too.
            ValueError: If a shard is damaged; the last checkpoint stays.
            ConnectionError: If an input machine was started anew; the last checkpoint stays.
            OSError: If something cannot be written; the last checkpoint stays.
            KeyboardInterrupt: After SIGINT, with a checkpoint.
            SystemExit: After SIGTERM, with a checkpoint; status 143.
        """
        progress = self._chiefs(self._resume())
        if progress.finished:
            return progress
        further = columns(self._config.model.depth)
        log, board = CsvLog(self._folder.log, progress.step, further), Board(self._folder.tensorboard)
        bar = Bar(self._settings.steps, progress.step, self._say)
        batches = self._trainer.batches(self._batches_from(progress.step * self._settings.accumulate))
        told = False
        try:
            board.began(flattened(self._config.to_dict()))
            with StopRequest() as stop, input_explained(self._config):
                while not progress.finished and not (told := self._workers.any(bool(stop))):
                    figures = self._advance(batches, progress, bar, stop)
                    if figures is None or not self._judge(progress, figures, board, stop):
                        told = True
                        break
                    progress.loss_sum, progress.due = 0.0, False
                    log.write(figures)
                    board.scalars(figures, progress.step)
                    self._store(progress)
                if progress.finished:
                    board.ended()
                elif told:
                    self._check_weights(progress)
                    self._checkpoints.save(self._trainer, progress)
        finally:
            bar.close()
            board.close()
        if told and not progress.finished:
            self._say(f"Stopped at step {progress.step}. The same command goes on from there.")
            stop.act()
            raise SystemExit(128 + signal.SIGTERM)  # another worker received the signal
        return progress

    def _resume(self) -> Progress:
        stored = self._checkpoints.load_latest()
        if stored is None:
            if self._folder.log.exists():
                self._say("The run stopped before a checkpoint that can be read: starting again from step 0.")
            return Progress()
        arrays, progress = stored
        self._mend_model(progress)
        restore(self._trainer, arrays)
        if not progress.finished:
            self._say(f"Resuming at step {progress.step} of {self._settings.steps}.")
            if progress.step >= self._settings.log_every and not last_step(self._folder.log):
                self._say(f"{self._folder.log} holds no figures of the steps before: the curves begin here.")
        return progress

    def _mend_model(self, progress: Progress) -> None:
        """Write the model anew if it is gone or damaged: what is left of the run may find no better one.

        The trainer is left with its weights.

        Raises:
            ConfigError: If the checkpoint of its step cannot be read either, or there are several workers.
        """
        step = progress.step if progress.finished and progress.best_step is None else progress.best_step
        model = self._folder.model
        if step is None or is_whole(model):
            return
        if self._workers.count > 1:  # where all have to take part to read some variables
            raise ConfigError(
                f"{model}: Expected the model of step {step}, the best so far. Received none that is whole: start the "
                "command once without TF_CONFIG, which makes it anew, and stop it then."
            )
        try:
            arrays, _ = read(self._checkpoints.path(step))
        except UNREADABLE as error:
            raise ConfigError(
                f"{model}: Expected the model of step {step}, the best so far. Received none that is whole, nor a "
                f"checkpoint to make it from: {error}. Choose another folder, or --overwrite."
            ) from error
        restore(self._trainer, arrays)
        with self._averaged_weights():
            self._write_model()
        self._say(f"{model} was missing or damaged: made anew from the checkpoint of step {step}.")

    def _chiefs(self, progress: Progress) -> Progress:
        """Start every worker where the chief does, whose folder alone holds checkpoints."""
        if self._workers.count > 1:
            restore(self._trainer, self._workers.chiefs_arrays(snapshot(self._trainer)))
        return Progress(**self._workers.chiefs(asdict(progress)))

    def _advance(
        self, batches: Iterator[Any], progress: Progress, bar: Bar, request: StopRequest
    ) -> dict[str, float] | None:
        """Train up to the next stop; None if the run was told to end before it."""
        begun, first = time.monotonic(), progress.step
        stop = first if progress.due else self._next_stop(first)
        while progress.step < stop:
            steps = min(self._settings.steps_per_call, stop - progress.step)
            loss = self._train(batches, steps, progress.step * self._settings.accumulate)
            progress.step += steps
            progress.loss_sum += loss * steps
            bar.update(progress.step, {"loss": loss, **self._validated})
            if progress.step < stop and self._workers.any(bool(request)):
                break
        seconds = time.monotonic() - begun
        progress.seconds += seconds
        if progress.step < stop:
            return None
        return {
            "step": stop,
            "loss": progress.loss_sum / (stop - self._last_stop(stop - 1)),
            "learning_rate": self._trainer.learning_rate,
            "images_per_second": (stop - first) * self._tiles_per_step / max(seconds, 1e-9),
        }

    def _train(self, batches: Iterator[Any], steps: int, first_batch: int) -> float:
        """Some updates; what breaks them is told in the run's terms."""
        trainer, settings = self._trainer, self._settings
        try:
            return trainer.run(batches, steps)
        except DivergedError as error:
            raise self._diverged(error, first_batch + error.batch) from error
        except tf.errors.ResourceExhaustedError as error:
            replicas = trainer.strategy.num_replicas_in_sync
            raise ConfigError(out_of_memory(settings, trainer.model.geometry, replicas)) from error

    def _check_weights(self, progress: Progress) -> None:
        """Refuse to judge or store weights that are not finite. On CPUs a ReLU may hide them from the loss."""
        if not all(np.isfinite(weight.numpy()).all() for weight in self._trainer.model.weights):
            error = DivergedError(f"Expected finite weights. Received NaN or infinite ones at step {progress.step}.")
            raise self._diverged(error, progress.step * self._settings.accumulate - 1)

    def _diverged(self, error: DivergedError, batch: int) -> DivergedError:
        path = keep_batch(self._folder.path, self._trainer.tiles(self._batches_from(batch)), batch)
        steps = self._checkpoints.steps()
        last = f"the last checkpoint is of step {steps[-1]}" if steps else "there is no checkpoint yet"
        return DivergedError(f"{error} Batch {batch} is kept in {path}; {last}.", batch)

    @property
    def _tiles_per_step(self) -> int:
        return self._settings.batch_size * self._settings.accumulate

    def _next_stop(self, step: int) -> int:
        return min(self._settings.steps, *((step // period + 1) * period for period in self._periods()))

    def _last_stop(self, step: int) -> int:
        return max(step // period * period for period in self._periods())

    def _periods(self) -> tuple[int, int, int]:
        return self._settings.log_every, self._settings.validate_every, self._settings.checkpoint_every

    def _judge(self, progress: Progress, figures: dict[str, float], board: Board, request: StopRequest) -> bool:
        """Validate when it is time to, keep the best weights, and see whether the run should end.

        Returns:
            False if the run was told to end before: then this is to be done again, and no figures are taken.
        """
        settings = self._settings
        limit = settings.time_limit_minutes * 60
        if progress.step >= settings.steps:
            progress.finished = "all steps done"
        elif limit and progress.seconds >= limit:
            progress.finished = f"time limit of {settings.time_limit_minutes:g} minutes"
        progress.finished = self._workers.chiefs(progress.finished)
        if self._validation is None or not (progress.finished or progress.step % settings.validate_every == 0):
            return True
        self._check_weights(progress)
        begun = time.monotonic()
        with self._averaged_weights():
            validated = self._validate(self._validation, request)
            if validated is None:
                progress.due, progress.finished = True, ""
                return False
            figures |= {f"val_{name}": value for name, value in validated.items()}
            figures |= self._dead_filters(self._validation)
            self._validated = {f"val {settings.monitor} of step {progress.step}": validated[settings.monitor]}
            board.panels(self._panels(self._validation), progress.step)
            if settings.histograms:
                weights = self._trainer.model.weights
                board.histograms({f"weights/{weight.path}": weight.numpy() for weight in weights}, progress.step)
            self._keep_best(progress, validated[settings.monitor])
        progress.seconds += time.monotonic() - begun
        if settings.patience and progress.stale >= settings.patience and not progress.finished:
            progress.finished = f"no better {settings.monitor} in {progress.stale} validations"
        self._warn(figures, bool(progress.finished))
        return True

    def _warn(self, figures: dict[str, float], finished: bool) -> None:
        """Tell once of filters that are dead, and again at the end."""
        sentence = advice(figures)
        if sentence and (finished or not self._warned):
            self._say(sentence)
            self._warned = True

    def _validate(self, validation: tf.data.Dataset, request: StopRequest) -> dict[str, float] | None:
        """Figures, or None if the run was told to end. Several workers, who would have to agree, go on to the end."""
        if self._workers.count > 1:
            return dict(self._workers.chiefs(self._trainer.validate(validation) | self._whole_images()))
        if request:
            return None
        figures = self._trainer.validate(takewhile(lambda batch: not request, validation))
        return None if request else figures | self._whole_images()

    def _keep_best(self, progress: Progress, figure: float) -> None:
        best = progress.best
        smaller_is_better = self._settings.monitor in SMALLER_IS_BETTER
        improved = best is None or math.isnan(best) or (figure < best if smaller_is_better else figure > best)
        if not improved:
            progress.stale += 1
            return
        # The model first: were a checkpoint to claim a best step whose weights were never written, they would be lost.
        self._write_model()
        progress.best, progress.best_step, progress.stale = figure, progress.step, 0

    def _store(self, progress: Progress) -> None:
        due = progress.step % self._settings.checkpoint_every == 0
        if due or progress.finished or progress.step == progress.best_step:
            self._check_weights(progress)
            if self._validation is None:
                with self._averaged_weights():
                    self._write_model()
            self._checkpoints.save(self._trainer, progress)

    def _averaged_weights(self) -> AbstractContextManager[None]:
        return self._trainer.averaged_weights(self._batches_from(0))

    def _write_model(self) -> None:
        with written_aside(self._folder.model) as aside:
            self._trainer.model.save(aside)

    def _panels(self, validation: tf.data.Dataset) -> list[NDArray[np.uint8]]:
        tiles, classes = _tiles(validation, _PANELS), self._trainer.classes
        return [panel(image, label, weight, classes(image[None])[0]) for image, label, weight in tiles]

    def _dead_filters(self, validation: tf.data.Dataset) -> dict[str, float]:
        return self._trainer.dead_filters(image for image, *_ in _tiles(validation, TILES))


def _tiles(validation: tf.data.Dataset, count: int) -> Iterator[Any]:
    """Image, label and weight of the first tiles."""
    tiles: Iterator[Any] = validation.unbatch().take(count).as_numpy_iterator()
    return tiles
