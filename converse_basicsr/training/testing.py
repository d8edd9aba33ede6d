"""Score a network on the test sets of an option file, as BasicSR's test pipeline does."""

from typing import Any

from converse_basicsr.options.file import OptionFile
from converse_basicsr.options.start import start_run
from converse_basicsr.training import loaders, run_lock, run_log
from converse_basicsr.training.ending import ended_cleanly
from converse_basicsr.training.pipeline import build_model
from converse_basicsr.training.rehearsal import require_fit


def score(
    option_file: OptionFile,
    root_path: str,
    *,
    launcher: str = 'none',
    debug: bool = False,
    local_rank: int | None = None,
) -> None:
    """Score a network; figures go to the log in ``results/NAME``, images too if ``val: save_img`` says so.

    Args:
        option_file: The options; test sets whose data are absent are removed from them, with a message.
        root_path: Folder that receives ``results/``.
        launcher: How the processes were started: ``none``, ``pytorch`` or ``slurm``.
        debug: Call the run ``debug_NAME``.
        local_rank: Number of this process on its machine, where the environment does not say it.

    Raises:
        UserError: If the options cannot work, another process tests under this name, or another process of the run is
            gone.
    """
    with ended_cleanly():
        run = start_run(option_file, root_path, is_train=False, launcher=launcher, debug=debug, local_rank=local_rank)
        with run_lock.held(run):
            _score(run, option_file)


def _score(run: dict[str, Any], option_file: OptionFile) -> None:
    text = run_log.describe(run)
    run['datasets'] = dict(sorted(run['datasets'].items()))
    with run_log.held_back(run) as records:
        test_loaders = loaders.build_scoring_loaders(run)
        model = build_model(run, option_file)
        require_fit(model, None, test_loaders, option_file)
    logger = run_log.begin(run, option_file, text, records, resumed=False)
    for loader in test_loaders:
        dataset: Any = loader.dataset
        logger.info(f'Testing {dataset.opt["name"]}...')
        model.validation(loader, current_iter=run['name'], tb_logger=None, save_img=run['val']['save_img'])
