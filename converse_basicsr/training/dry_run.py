"""Try a run before it begins: one iteration and one image of each validation set, of which nothing is written."""

import math
import tempfile
from typing import Any

from torch.utils.data import DataLoader

from converse_basicsr.data.bad_samples import skipped_samples
from converse_basicsr.data.sample_order import SampleOrder
from converse_basicsr.options.check.attempt import quiet
from converse_basicsr.options.file import OptionFile
from converse_basicsr.options.start import start_run
from converse_basicsr.training import loaders, resume, run_log
from converse_basicsr.training.pipeline import build_model
from converse_basicsr.training.rehearsal import named, require_fit, try_validation

MOST_ON_CPU = 2
"""Samples of a batch on the CPU: a batch for a GPU would take minutes there. On GPUs it is that of the run."""

Options = dict[str, Any]


def dry_run(option_file: OptionFile, root_path: str, *, is_train: bool) -> None:
    """Build everything that a run builds, do one iteration and score one image of each validation or test set.

    It takes as long as that takes, on the device of the run, in this process. Weights that BasicSR's losses download
    go where they go in a run; nothing else is written.

    Args:
        option_file: The options; when testing, absent test sets are removed from them, with a message.
        root_path: The folder that a run would write to.
        is_train: Training (or else testing).

    Raises:
        UserError: With the key at fault, as far as it is known.
    """
    with tempfile.TemporaryDirectory() as scratch:  # for models whose validation saves images whatever it is told
        run = start_run(option_file, root_path, is_train=is_train)
        run['auto_resume'] = False
        run['path']['visualization'] = scratch
        if run.get('val') is not None:
            run['val'].update(save_img=False, pbar=False)
        try:
            with run_log.held_back(run), quiet():
                _try_all(run, option_file)
        finally:
            skipped_samples()


def _try_all(run: Options, option_file: OptionFile) -> None:
    state = batch = trained = None
    if run['is_train']:
        with named(option_file, 'when a batch was read', 'datasets', 'train'):
            state = resume.load_resume_state(run)
            trained, sampler = loaders.build_training_loader(run, run['datasets']['train'])
            batch = _first_batch(run, trained, sampler)
    with named(option_file, 'when the data sets were built', 'datasets'):
        scored = loaders.build_scoring_loaders(run)
    with named(option_file, 'when the model was built', 'model_type'):
        model = build_model(run, option_file)
        if state is not None:
            resume.restore_model(model, state, run['path']['resume_state'])
    require_fit(model, trained, scored, option_file)
    if batch is not None:
        with named(option_file, 'in the first iteration', 'train'):
            _iterate(run, model, batch)
    if run.get('val') is not None:
        for loader in scored:
            try_validation(model, loader, option_file)


def _first_batch(run: Options, loader: DataLoader[Any], sampler: SampleOrder) -> Any:
    """Read the first batch of the training data, in this process."""
    size: Any = loader.batch_size
    if run['num_gpu'] == 0:
        size = min(size, MOST_ON_CPU * loaders.accumulated_batches(run))
    return next(iter(DataLoader(loader.dataset, size, sampler=sampler, collate_fn=loader.collate_fn)))


def _iterate(run: Options, model: Any, batch: Any) -> None:
    train = run['train']
    of_discriminator = train.get('net_d_iters', 1)
    # Models with a discriminator train the generator only now and then.
    both = (train.get('net_d_init_iters', 0) // of_discriminator + 1) * of_discriminator
    for iteration in sorted({1, both}):
        model.update_learning_rate(iteration, warmup_iter=train.get('warmup_iter', -1))
        model.feed_data(batch)
        model.optimize_parameters(iteration)
        wrong = [name for name, value in model.get_current_log().items() if not math.isfinite(value)]
        if wrong or getattr(model, 'skipped_iterations', None):
            raise ArithmeticError(f'the loss {" and ".join(wrong) or "or its gradient"} is not finite')
