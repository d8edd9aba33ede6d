"""The training loop: build, resume, iterate, log, save, validate, stop, with BasicSR's models, loaders and loggers."""

import dataclasses
import datetime
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from basicsr.models import build_model as build_basicsr_model
from basicsr.train import init_tb_loggers
from basicsr.utils import AvgTimer, MessageLogger, get_root_logger
from torch.utils.data import DataLoader

from converse_basicsr.checkpoints import training_state
from converse_basicsr.checkpoints.course import KEY, Course, keep_note
from converse_basicsr.data.sample_order import SampleOrder
from converse_basicsr.errors import UserError
from converse_basicsr.models.finite import ADVICE, not_finite
from converse_basicsr.options.check import network_diagnosis
from converse_basicsr.options.file import OptionFile
from converse_basicsr.options.start import start_run
from converse_basicsr.processes import stopping
from converse_basicsr.training import changed_options, loaders, resume, run_lock, run_log
from converse_basicsr.training.ending import ended_cleanly
from converse_basicsr.training.place import DataPlace
from converse_basicsr.training.rehearsal import rehearse

LATEST = -1
"""What BasicSR calls the iteration of the final networks, ``net_g_latest.pth``."""


def train(
    option_file: OptionFile,
    root_path: str,
    *,
    launcher: str = 'none',
    auto_resume: bool = False,
    debug: bool = False,
    local_rank: int | None = None,
) -> None:
    """Train as an option file says, in this process; several processes that call it share the run.

    ``converse_basicsr.register()``, or ``load_plugins()``, comes first. Nothing is written until data, networks and
    weights are found and fit. SIGTERM, Ctrl-C and a closed terminal end the training after the iteration, with
    everything saved.

    Args:
        option_file: The options.
        root_path: Folder that receives ``experiments/`` and ``tb_logger/``.
        launcher: How the processes were started: ``none``, ``pytorch`` or ``slurm``.
        auto_resume: Go on from the newest checkpoint of this run, if there is one.
        debug: A short run under the name ``debug_NAME``.
        local_rank: Number of this process on its machine, where the environment does not say it.

    Raises:
        UserError: If the options cannot work, another process trains under this name, a checkpoint cannot be written,
            weights are not finite, a loader process was killed, or another process of the run is gone.
        converse_basicsr.processes.stopping.Stopped: After a signal, when everything is saved.
    """
    with ended_cleanly(), stopping.stop_on_signals() as request:
        run = start_run(
            option_file,
            root_path,
            is_train=True,
            launcher=launcher,
            auto_resume=auto_resume,
            debug=debug,
            local_rank=local_rank,
        )
        with run_lock.held(run) as require_held:
            training = _Training.build(run, option_file, request, require_held)
            try:
                training.run_to_end()
            finally:
                if training.tb_logger:
                    training.tb_logger.close()


def build_model(run: dict[str, Any], option_file: OptionFile) -> Any:
    """Build the model of a run, with its networks and their weights.

    Raises:
        UserError: If a network cannot be built or its weights do not fit, with the place in the option file.
    """
    torch.backends.cudnn.benchmark = True
    try:
        return build_basicsr_model(run)
    except Exception:
        # Raises a UserError with the place in the file, if a network or its weights are the cause.
        network_diagnosis(option_file, is_train=run['is_train'])
        raise


@dataclass
class _Training:
    """A training in this process.

    Attributes:
        run: The completed options.
        model: A model of BasicSR.
        loader: Loader of the training data.
        sampler: The loader's sample order.
        validation: The loaders of the validation sets.
        place: Where the run started in its data.
        request: Whether the process was asked to stop.
        require_held: Refuses to go on where another process has taken over the run.
        course: The run's course, on rank 0, which keeps the files.
        options: The options, as states hold them.
        infinite: Names of tensors that held infinity from the start, as masks do.
        tb_logger: TensorBoard writer of rank 0, if wanted.
        state: The training state that the run goes on from.
        iteration: The last iteration that was done.
        validated: The last iteration that was validated.
    """

    run: dict[str, Any]
    model: Any
    loader: DataLoader[Any]
    sampler: SampleOrder
    validation: list[DataLoader[Any]]
    place: DataPlace
    request: stopping.StopRequest
    require_held: Callable[[], None]
    course: Course
    options: str
    infinite: frozenset[str]
    tb_logger: Any
    state: dict[str, Any] | None
    iteration: int
    validated: int = LATEST

    @classmethod
    def build(
        cls,
        run: dict[str, Any],
        option_file: OptionFile,
        request: stopping.StopRequest,
        require_held: Callable[[], None],
    ) -> '_Training':
        """Build everything and then begin to write: folders, a copy of the options, the log."""
        text = run_log.describe(run)
        state = resume.load_resume_state(run)
        course, is_new_course, notes = resume.course_of(run, state)
        epoch, iteration = (state['epoch'], state['iter']) if state else (0, 0)
        with run_log.held_back(run) as records:
            loader, sampler = loaders.build_training_loader(run, run['datasets']['train'])
            # States written without this package do not know their place in the epoch: it starts again.
            position = state.get('data_position', 0) if state else 0
            place = loaders.start_place(loader, sampler, epoch=epoch, iteration=iteration, position=position)
            loaders.log_statistics(run, loader, place, get_root_logger())
            validation = loaders.build_scoring_loaders(run)
            model = build_model(run, option_file)
            rehearse(model, loader, validation, option_file)
            if state:
                resume.restore_model(model, state, run['path']['resume_state'])
            infinite = _infinite_from_the_start(model)
        require_held()
        logger = run_log.begin(run, option_file, text, records, resumed=state is not None)
        if state:
            logger.info(f'Resuming training from epoch: {epoch}, iter: {iteration}.')
            effective, overridden = changed_options.changes(state, option_file.options)
            for line in effective:
                logger.info(f'Changed option: {line}.')
            for line in (*overridden, *notes):
                logger.warning(line)
        if is_new_course:
            keep_note(course, Path(run['path']['experiments_root']))
        return cls(
            run,
            model,
            loader,
            sampler,
            validation,
            place,
            request,
            require_held,
            course,
            changed_options.as_text(option_file.options),
            infinite,
            init_tb_loggers(run),
            state,
            iteration,
        )

    def run_to_end(self) -> None:
        """Train, then save and validate the final networks."""
        logger, started = get_root_logger(), time.time()
        total = int(self.run['train']['total_iter'])
        if self.state is not None:
            self._catch_up(self.state)
        self.validated = self.iteration
        logger.info(f'Start training from epoch: {self.place.epoch}, iter: {self.iteration}')
        self._iterate(total)
        consumed = datetime.timedelta(seconds=int(time.time() - started))
        logger.info(f'End of training. Time consumed: {consumed}')
        logger.info('Save the latest model.')
        self._save_model(LATEST, LATEST)
        self._drop_older()  # a kill may have come between the last save and this
        self._validate()

    def _catch_up(self, state: dict[str, Any]) -> None:
        """Do what the run that saved the state still had to do: validate the iteration that it was saved after."""
        resume.restore_generators(state)
        if state.get('validation_pending', False):
            self._validate()

    def _iterate(self, total: int) -> None:
        """Train up to iteration ``total``, epoch after epoch."""
        log = MessageLogger(self.run, self.iteration, self.tb_logger)
        data_timer, iter_timer = AvgTimer(), AvgTimer()
        first = self.iteration + 1
        for epoch in itertools.count(self.place.epoch):
            self.sampler.set_epoch(epoch)
            for batch in self._batches(epoch):
                data_timer.record()
                if self.iteration >= total:
                    return
                self._stop_if_asked()
                self.iteration += 1
                self.model.update_learning_rate(self.iteration, warmup_iter=self.run['train'].get('warmup_iter', -1))
                self.model.feed_data(batch)
                self.model.optimize_parameters(self.iteration)
                iter_timer.record()
                if self.iteration == first:
                    log.reset_start_time()  # the first iteration is slower, and would spoil the estimated time
                if self._is_due(self.run['logger']['print_freq']):
                    values = self.model.get_current_log()
                    log(
                        {
                            'epoch': epoch,
                            'iter': self.iteration,
                            'lrs': self.model.get_current_learning_rate(),
                            'time': iter_timer.get_avg_time(),
                            'data_time': data_timer.get_avg_time(),
                            **values,
                        }
                    )
                    if not all(math.isfinite(value) for value in values.values()):
                        self._require_finite()
                if self._is_due(self.run['logger']['save_checkpoint_freq']):
                    get_root_logger().info('Saving models and training states.')
                    self._save(epoch)
                if self._validation_is_due():
                    self._validate()
                data_timer.start()
                iter_timer.start()
            if self.iteration >= total:
                return

    def _batches(self, epoch: int) -> Iterator[Any]:
        """Yield the batches of an epoch; without its loader processes until the run stops, if one of them is gone."""

        def stop(reason: str) -> None:
            self.request.signum, self.request.reason = stopping.LOST_WORKER, reason
            self.sampler.resume(epoch, self.place.position_after(epoch, self.iteration))

        return loaders.batches(self.run, self.loader, stop)

    def _is_due(self, frequency: float) -> bool:
        return self.iteration % frequency == 0

    def _validation_is_due(self) -> bool:
        val = self.run.get('val')
        return val is not None and self._is_due(val['val_freq'])

    def _validate(self) -> None:
        """Validate on all sets; a signal ends that, and the training."""
        if self.run.get('val') is None:
            return
        if len(self.validation) > 1:
            get_root_logger().warning('Multiple validation datasets are *only* supported by SRModel.')
        try:
            for loader in self.validation:
                watched = loader if self.run['dist'] else stopping.WatchedLoader(loader, self.request)
                self.model.validation(watched, self.iteration, self.tb_logger, self.run['val']['save_img'])
        except stopping.ValidationStopped as stopped:
            self._save_and_stop(stopped.signum)
        self.validated = self.iteration

    def _save(self, epoch: int) -> None:
        """Save networks and state; all processes do this together."""
        self.model.run_state = {
            'manual_seed': self.run['manual_seed'],
            'data_position': self.place.position_after(epoch, self.iteration),
            'best_metric_results': training_state.plain_results(getattr(self.model, 'best_metric_results', {})),
            'generators': training_state.generator_states(),
            'validation_pending': self._validation_is_due() and self.validated < self.iteration,
            KEY: self._course_with_this_iteration().plain(),
            changed_options.KEY: self.options,
            **getattr(self.model, 'further_training_state', dict)(),
        }
        self._save_model(epoch, self.iteration)
        state = Path(self.run['path']['training_states'], f'{self.iteration}.state')
        if self.run['rank'] != 0 or not state.exists():  # some models save no states
            return
        self.course = self._course_with_this_iteration()
        self._drop_older()

    def _drop_older(self) -> None:
        """Delete the checkpoints that ``keep_last`` leaves out."""
        states, models = (Path(self.run['path'][folder]) for folder in ('training_states', 'models'))
        keep_last = self.run['logger'].get('keep_last')
        if keep_last is not None and self.run['rank'] == 0:
            labels = getattr(self.model, 'saved_networks', ())
            kept = training_state.keep_newest(keep_last, self.course.saved, labels, states, models)
            self.course = dataclasses.replace(self.course, saved=tuple(kept))

    def _course_with_this_iteration(self) -> Course:
        return dataclasses.replace(self.course, saved=tuple(sorted({*self.course.saved, self.iteration})))

    def _save_model(self, epoch: int, iteration: int) -> None:
        """Let the model save, unless that would put weights that are not finite in the place of those that are."""
        self._require_finite()
        self.require_held()
        self.model.save(epoch, iteration)

    def _require_finite(self) -> None:
        names = [name for name, _ in not_finite(self.model) if name not in self.infinite]
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise UserError(
                f'iteration {self.iteration}: {names[0]}{more} of the model became infinite or NaN; nothing was saved '
                f'since, earlier checkpoints are kept: {ADVICE}'
            )

    def _stop_if_asked(self) -> None:
        signum = self.request.signum_of_any(self.model.device)
        if signum:
            self._save_and_stop(signum)

    def _save_and_stop(self, signum: int) -> None:
        """Save after the last iteration, on all processes, and leave."""
        if self.iteration > 0:
            self._save(self.place.epoch_of(self.iteration))
        if self.run['dist']:
            torch.distributed.barrier()  # a launcher ends all processes when the first has left
        if signum == stopping.LOST_WORKER:
            reason = self.request.reason or 'another process of this run lost a loader process'
            raise UserError(f'{reason}; {stopping.saved_after(self.iteration)}')
        raise stopping.Stopped.after(self.iteration, signum)


def _infinite_from_the_start(model: Any) -> frozenset[str]:
    """Return the names of the tensors that hold infinity before the first iteration.

    Raises:
        UserError: If one holds NaN.
    """
    found = not_finite(model)
    for name, tensor in found:
        if tensor.isnan().any():
            raise UserError(
                f'{name} of the model holds NaN before the first iteration: see path:pretrain_network_g and the state '
                'that the run goes on from'
            )
    return frozenset(name for name, _ in found)
