"""Mend, from outside, what stops BasicSR 1.4.2 on today's torch, torchvision, numpy, lmdb and Python.

:func:`apply` runs the mends, each a function of its own that first looks whether the defect is there: in a BasicSR that
has mended it, the function does nothing and can be deleted. Nothing is copied from BasicSR; where a method has to be
replaced, the replacement keeps its signature and meaning.
"""

import contextlib
import copyreg
import functools
import gc
import importlib
import importlib.util
import inspect
import logging
import os
import random
import signal
import sys
import threading
import time
import types
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError

_applied = False
_lock = threading.RLock()


def apply() -> None:
    """Make ``import basicsr`` work and mend its defects. Idempotent and safe to call from any thread or process.

    Raises:
        UserError: If BasicSR is not installed.
    """
    global _applied
    with _lock, _collector_paused():
        if _applied:
            return
        provide_functional_tensor()
        provide_distutils()
        if importlib.util.find_spec('basicsr') is None:
            raise UserError('BasicSR is not installed in this Python: pip install --no-build-isolation basicsr')
        # basicsr.train comes last: it imports the functions mended before it by name.
        mend_logger()
        mend_archive_names()
        mend_lmdb_backend()
        mend_prefetch_errors()
        mend_worker_seeds()
        mend_sample_order()
        mend_ema_buffers()
        mend_loading_networks()
        mend_checkpoint_writing()
        mend_validation()
        mend_distributed_start()
        mend_saved_images()
        mend_tensor2img()
        mend_jpeg_quality()
        mend_unsafe_loading()
        mend_option_reading()
        mend_resume()
        mend_iteration_count()
        mend_training_loop()
        mend_spawned_datasets()
        accept_converse_key()
        _applied = True


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Importing torch, torchvision and BasicSR makes objects that stay; looking for garbage meanwhile costs a sixth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _names(function: Callable[..., Any]) -> set[str]:
    """Every global name, attribute, local and keyword that the code of ``function`` mentions, nested code included."""
    names: set[str] = set()
    pending = [_code(function)]
    while pending:
        code = pending.pop()
        names.update(code.co_names, code.co_varnames)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                pending.append(constant)
            elif isinstance(constant, tuple):
                names.update(item for item in constant if isinstance(item, str))
    return names


def _code(function: Callable[..., Any]) -> types.CodeType:
    """The code object of a function, looking through decorators made with :func:`functools.wraps`."""
    while hasattr(function, '__wrapped__'):
        function = function.__wrapped__
    return function.__code__


def provide_functional_tensor() -> None:
    """Supply ``torchvision.transforms.functional_tensor``, gone since torchvision 0.17, which BasicSR imports.

    Upstream: XPixelGroup/BasicSR#663. Can go when BasicSR imports ``rgb_to_grayscale`` from where it is now.
    """
    name = 'torchvision.transforms.functional_tensor'
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    from torchvision.transforms.functional import rgb_to_grayscale

    module = types.ModuleType(name, 'Stand-in made by converse_basicsr for a module that torchvision removed.')
    module.rgb_to_grayscale = rgb_to_grayscale
    sys.modules[name] = module


def provide_distutils() -> None:
    """Supply ``distutils.version.LooseVersion`` on Python 3.12 and later without setuptools.

    Can go when BasicSR compares versions without distutils.
    """
    if 'distutils' in sys.modules or importlib.util.find_spec('distutils') is not None:
        return
    from torch.torch_version import TorchVersion

    package, version = types.ModuleType('distutils'), types.ModuleType('distutils.version')
    package.__path__, package.version, version.LooseVersion = [], version, TorchVersion
    sys.modules.update({'distutils': package, 'distutils.version': version})


def mend_logger() -> None:
    """Give every run a log file of its own, also after an earlier use of the logger or an earlier run in the process.

    BasicSR configures its logger once: whoever asks for it before the pipeline leaves the run without log file and INFO
    lines, and a second run writes into the first one's file. Can go when ``get_root_logger`` looks at ``log_file`` each
    time.
    """
    from basicsr.utils import logger as logger_module

    original = logger_module.get_root_logger
    if 'handlers' in _names(original):
        return

    @functools.wraps(original)
    def get_root_logger(
        logger_name: str = 'basicsr', log_level: int = logging.INFO, log_file: str | None = None
    ) -> logging.Logger:
        if log_file is not None and logger_name in logger_module.initialized_logger:
            logger = logging.getLogger(logger_name)
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()
            del logger_module.initialized_logger[logger_name]
        return original(logger_name, log_level, log_file)

    _replace_everywhere(original, get_root_logger)


def mend_archive_names() -> None:
    """Let runs of one name follow each other within a second: BasicSR archives the older under a name of the second.

    Can go when ``mkdir_and_rename`` looks whether that name is taken.
    """
    from basicsr.utils import misc

    original = misc.mkdir_and_rename
    if '_archived_' not in _code(original).co_consts:
        return

    @functools.wraps(original)
    def mkdir_and_rename(path: str) -> None:
        while os.path.exists(f'{path}_archived_{misc.get_time_str()}'):
            time.sleep(0.1)
        original(path)

    _replace_everywhere(original, mkdir_and_rename)


def _replace_everywhere(original: object, replacement: object) -> None:
    """Rebind every module-level name in BasicSR that holds ``original``: its modules import functions by name."""
    import basicsr  # noqa: F401  (all of its modules, so that none is missed)

    for module_name, module in list(sys.modules.items()):
        if module_name == 'basicsr' or module_name.startswith('basicsr.'):
            for name, value in list(vars(module).items()):
                if value is original:
                    setattr(module, name, replacement)


def mend_lmdb_backend() -> None:
    """Let several datasets of a process read one LMDB, and let opened datasets be pickled.

    lmdb 1.6 and later refuse to open an environment twice in one process. Can go when BasicSR shares its environments.
    """
    from basicsr.utils.file_client import FileClient

    if 'open' not in _names(FileClient._backends['lmdb'].__init__):
        return
    from converse_basicsr.data.lmdb_backend import SharedLmdbBackend

    FileClient._backends['lmdb'] = SharedLmdbBackend


def mend_prefetch_errors() -> None:
    """Raise a loader's error in the training loop: with ``prefetch_mode: cpu`` it ends a thread and the run hangs.

    Can go when ``PrefetchGenerator`` hands exceptions on.
    """
    from basicsr.data.prefetch_dataloader import PrefetchGenerator

    if 'Exception' in _names(PrefetchGenerator.run) or 'BaseException' in _names(PrefetchGenerator.run):
        return

    class _LoaderError:
        def __init__(self, error: BaseException) -> None:
            self.error = error

    def run(self: Any) -> None:
        try:
            for item in self.generator:
                self.queue.put(item)
        except BaseException as error:
            self.queue.put(_LoaderError(error))
        else:
            self.queue.put(None)

    def get_next(self: Any) -> Any:
        item = self.queue.get()
        if item is None:
            raise StopIteration
        if isinstance(item, _LoaderError):
            raise item.error
        return item

    PrefetchGenerator.run = run
    PrefetchGenerator.__next__ = get_next


def seed_worker(worker_id: int, num_workers: int, rank: int, seed: int) -> None:
    """Seed ``random`` and NumPy of a loader worker from torch's seed for it, which changes from epoch to epoch.

    Takes the arguments of BasicSR's ``worker_init_fn``; torch has derived the worker's seed from the main process's
    generator (seeded by ``manual_seed`` and the rank) and the worker's number.
    """
    import numpy as np
    import torch

    if hasattr(os, 'setpgid'):
        # A Ctrl-C, or what a batch system sends to a job, must reach the training alone: it saves and ends its workers.
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
    worker_seed = torch.initial_seed() % 2**32
    random.seed(worker_seed)
    np.random.seed(worker_seed)  # noqa: NPY002  (datasets of BasicSR draw from the global generator)


def mend_worker_seeds() -> None:
    """Draw new crops, flips and noise every epoch: BasicSR seeds its workers alike at each.

    Can go when ``worker_init_fn`` uses ``torch.initial_seed()``.
    """
    import basicsr.data

    if 'initial_seed' not in _names(basicsr.data.worker_init_fn):
        basicsr.data.worker_init_fn = seed_worker


def mend_sample_order() -> None:
    """Let the seed, the epoch and the sample alone decide the order of the samples and what each of them draws.

    BasicSR orders by the epoch alone, seeds its workers alike at each epoch, and starts an epoch again when it resumes.
    Samples that cannot be read are named with their files, and skipped where ``on_bad_sample`` says so. Can go when
    ``EnlargedSampler`` takes a seed and a place to start from, and samples have generators of their own.
    """
    import basicsr.data
    from basicsr.data.data_sampler import EnlargedSampler

    if 'seed' in _names(EnlargedSampler.__init__) or 'seed' in _names(EnlargedSampler.__iter__):
        return
    from converse_basicsr.data.bad_samples import GuardedDataset
    from converse_basicsr.data.sample_order import SampleOrder
    from converse_basicsr.data.sample_seed import SeededDataset

    original = basicsr.data.build_dataloader

    @functools.wraps(original)
    def build_dataloader(dataset: Any, dataset_opt: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        dataset = GuardedDataset(
            dataset, dataset_opt.get('name', 'train'), skip=dataset_opt.get('on_bad_sample') == 'skip'
        )
        if dataset_opt['phase'] == 'train':
            dataset = SeededDataset(dataset)
        return original(dataset, dataset_opt, *args, **kwargs)

    _replace_everywhere(original, build_dataloader)
    _replace_everywhere(EnlargedSampler, SampleOrder)


def _rebuild_dataset(module: str, qualname: str) -> object:
    """Make an empty dataset in a process that may not have imported BasicSR yet (its state follows in the pickle)."""
    apply()
    cls = importlib.import_module(module)
    for name in qualname.split('.'):
        cls = getattr(cls, name)
    return cls.__new__(cls)


def _reduce_dataset(dataset: Any) -> tuple[Any, ...]:
    state = dataset.__getstate__() if hasattr(dataset, '__getstate__') else dataset.__dict__
    return _rebuild_dataset, (type(dataset).__module__, type(dataset).__qualname__), state


def make_spawn_safe(dataset_class: type) -> None:
    """Pickle instances of ``dataset_class`` so that a spawned worker mends BasicSR before it imports the class."""
    if '<locals>' not in dataset_class.__qualname__ and '__reduce__' not in vars(dataset_class):
        copyreg.pickle(dataset_class, _reduce_dataset)


def mend_spawned_datasets() -> None:
    """Let spawned loader workers unpickle registered datasets, whose import fails there before any plugin code has run.

    Can go with :func:`provide_functional_tensor`.
    """
    from basicsr.utils.registry import DATASET_REGISTRY

    for _, dataset_class in DATASET_REGISTRY:
        make_spawn_safe(dataset_class)


def mend_ema_buffers() -> None:
    """Copy buffers into the EMA network: without BatchNorm's running statistics its validation is meaningless.

    Can go when ``BaseModel.model_ema`` treats buffers.
    """
    from basicsr.models.base_model import BaseModel

    original = BaseModel.model_ema
    if {'buffers', 'named_buffers', 'state_dict'} & _names(original):
        return

    @functools.wraps(original)
    def model_ema(self: Any, decay: float = 0.999) -> None:
        original(self, decay)
        buffers = dict(self.get_bare_model(self.net_g).named_buffers())
        for name, buffer in self.net_g_ema.named_buffers():
            buffer.copy_(buffers[name])

    BaseModel.model_ema = model_ema


def read_checkpoint(path: str | os.PathLike[str]) -> Any:
    """Load a checkpoint onto the CPU without running code that it may hold (``weights_only``).

    Raises:
        UserError: If the file is missing, truncated or holds more than tensors and plain values.
    """
    import torch

    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise UserError(f'checkpoint {path} does not exist') from None
    except Exception as error:  # torch.load raises almost every class on damaged files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f'checkpoint {path} cannot be read ({reason}); it is damaged or not a checkpoint') from error


def choose_parameters(
    checkpoint: Any, param_key: str | None, path: str | os.PathLike[str]
) -> tuple[dict[str, Any], str | None]:
    """Find the state dict in what a checkpoint file holds.

    A flat state dict (tensors at the top) is taken as it is, whatever ``param_key`` says. In BasicSR's format
    ``param_key`` chooses; if it is absent or ``None``, ``params`` serves, then ``params_ema``.

    Returns:
        The state dict and the key it was found under, ``None`` for a flat file.

    Raises:
        UserError: If the file holds no state dict.
    """
    if isinstance(checkpoint, dict):
        for key in (param_key, 'params', 'params_ema'):
            if key is not None and isinstance(checkpoint.get(key), dict):
                return checkpoint[key], key
        if checkpoint and all(hasattr(value, 'shape') for value in checkpoint.values()):
            return checkpoint, None
        found = f'keys {sorted(map(str, checkpoint))[:5]}'
    else:
        found = f'a {type(checkpoint).__name__}'
    raise UserError(f'checkpoint {path} holds no state dict under {param_key!r}, params or params_ema, only {found}')


def mend_loading_networks() -> None:
    """Load flat and BasicSR-style checkpoints alike, with and without EMA, when starting and when resuming.

    BasicSR fails with ``KeyError: 'params_ema'`` on a flat state dict as soon as EMA is on, and a later resume with
    ``param_key_g: ~`` fails on missing keys. Can go when ``load_network`` looks into the file before it chooses.
    """
    from basicsr.models import base_model
    from basicsr.models.base_model import BaseModel

    if 'weights_only' in _names(BaseModel.load_network):
        return

    @functools.wraps(BaseModel.load_network)
    def load_network(
        self: Any, net: Any, load_path: str, strict: bool = True, param_key: str | None = 'params'
    ) -> None:
        net = self.get_bare_model(net)
        parameters, found_key = choose_parameters(read_checkpoint(load_path), param_key, load_path)
        base_model.get_root_logger().info(
            f'Loading {type(net).__name__} from {load_path}, '
            + ('a flat state dict.' if found_key is None else f'with param key: [{found_key}].')
        )
        parameters = {name.removeprefix('module.'): value for name, value in parameters.items()}
        self._print_different_keys_loading(net, parameters, strict)
        try:
            net.load_state_dict(parameters, strict=strict)
        except RuntimeError as error:
            first_reasons = ' '.join(str(error).split())[:400]
            some_fit = strict and not parameters.keys().isdisjoint(net.state_dict())
            remedy = '; strict_load_g: false, under path, loads the parts that fit' if some_fit else ''
            raise UserError(f'checkpoint {load_path} does not fit the network: {first_reasons}{remedy}') from error

    BaseModel.load_network = load_network


def write_checkpoint(content: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint so that ``path`` is at every moment either the old file, whole, or the new one, whole.

    Raises:
        UserError: If it cannot be written (disk full, no permission); an older file of that name is kept.
    """
    import torch

    path = Path(path)
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        with open(temporary, 'wb') as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a failed write into RuntimeError
        with contextlib.suppress(OSError):
            temporary.unlink()
        reason = str(error).strip().splitlines()[0]
        raise UserError(f'cannot write checkpoint {path} ({reason}); earlier checkpoints are kept') from error


def sync_folder(folder: Path) -> None:
    """Make the names of new files in a folder survive a power failure, where the system can."""
    if hasattr(os, 'O_DIRECTORY'):
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def require_intact(path: str | os.PathLike[str]) -> None:
    """Compare everything in a checkpoint with its checksums, which ``torch.load`` does not look at.

    Raises:
        UserError: If the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f'checkpoint {path} cannot be read ({error}); it is damaged or not a checkpoint') from error
    if damaged is not None:
        raise UserError(f'checkpoint {path} is damaged: the checksum of its part {damaged} is wrong')


def mend_checkpoint_writing() -> None:
    """Write checkpoints atomically and stop when one cannot be written.

    BasicSR writes in place, so a kill leaves a truncated file that ``--auto_resume`` then picks; and it swallows a full
    disk, ending hours later with exit status 0 and no checkpoint. Can go when ``BaseModel`` renames a finished file
    into place.

    A training state also gets what resuming needs to be exact: the best metrics, the place in the data, the random
    generators of every process, and what ``further_training_state`` of the model returns.
    """
    from basicsr.models.base_model import BaseModel
    from basicsr.utils.dist_util import get_dist_info, master_only

    if 'replace' in _names(BaseModel.save_network):
        return
    from converse_basicsr import training_state

    @master_only
    def save_network(
        self: Any, net: Any, net_label: str, current_iter: int, param_key: str | list[str] = 'params'
    ) -> None:
        nets = net if isinstance(net, list) else [net]
        keys = param_key if isinstance(param_key, list) else [param_key]
        if len(nets) != len(keys):
            raise ValueError(f'param_key must name every network, got {keys} for {len(nets)} networks')
        content = {
            key: {
                name.removeprefix('module.'): value.cpu() for name, value in self.get_bare_model(n).state_dict().items()
            }
            for key, n in zip(keys, nets)
        }
        label = 'latest' if current_iter == -1 else current_iter
        write_checkpoint(content, Path(self.opt['path']['models'], f'{net_label}_{label}.pth'))

    def save_training_state(self: Any, epoch: int, current_iter: int) -> None:
        if current_iter == -1:
            return
        generators = training_state.generator_states()  # of all processes
        if get_dist_info()[0] != 0:
            return
        state = {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            'manual_seed': self.opt['manual_seed'],
            'best_metric_results': training_state.plain_results(getattr(self, 'best_metric_results', {})),
            'generators': generators,
            'validation_pending': _validation_pending(self, current_iter),
            **self.further_training_state(),
        }
        if 'data_progress' in self.opt:
            state['data_position'] = training_state.data_position(self.opt['data_progress'], epoch, current_iter)
        folder = Path(self.opt['path']['training_states'])
        write_checkpoint(state, folder / f'{current_iter}.state')
        count = self.opt['logger'].get('keep_last')
        if count is not None:
            training_state.keep_newest(count, current_iter, folder, Path(self.opt['path']['models']))

    BaseModel.save_network = save_network
    BaseModel.save_training_state = save_training_state
    BaseModel.further_training_state = lambda self: {}


def mend_validation() -> None:
    """Validate on all processes, log the last validation under the last iteration, and let a stop end a validation.

    BasicSR validates on rank 0 alone, while the others wait until their time-out ends the run, and its loop has counted
    past the last iteration when it validates for the last time. Can go when ``SRModel.dist_validation`` shares the work
    and ``train_pipeline`` counts an iteration after it has decided to run it.
    """
    from basicsr import metrics
    from basicsr.models.base_model import BaseModel
    from basicsr.models.sr_model import SRModel

    from converse_basicsr import stopping
    from converse_basicsr.models import sharded_validation

    original = BaseModel.validation
    if 'total_iter' not in _names(original):

        @functools.wraps(original)
        def validation(self: Any, dataloader: Any, current_iter: Any, tb_logger: Any, save_img: bool = False) -> None:
            if self.is_train:
                current_iter = min(current_iter, int(self.opt['train']['total_iter']))
            request = stopping.current_request()
            if request is not None and self.is_train and not self.opt['dist']:
                dataloader = stopping.WatchedLoader(dataloader, request)
            try:
                original(self, dataloader, current_iter, tb_logger, save_img)
            except stopping.ValidationStopped as stopped:
                _save_and_stop(self, current_iter, stopped.signum)

        BaseModel.validation = validation

    if 'all_gather_object' not in _names(SRModel.dist_validation):
        _replace_everywhere(metrics.calculate_metric, sharded_validation.recording(metrics.calculate_metric))
        SRModel.dist_validation = sharded_validation.validate


def mend_saved_images() -> None:
    """Save the images of several validation sets in a folder a set: in BasicSR those of one name overwrite each other.

    Can go when ``SRModel`` puts the name of the data set into the paths of training too.
    """
    from basicsr.models.base_model import BaseModel

    original = BaseModel.validation

    @functools.wraps(original)
    def validation(self: Any, dataloader: Any, current_iter: Any, tb_logger: Any, save_img: bool = False) -> None:
        sets = [name for name in self.opt['datasets'] if name.split('_')[0] == 'val']
        folder = self.opt['path'].get('visualization')
        if save_img and self.is_train and len(sets) > 1:
            self.opt['path']['visualization'] = os.path.join(folder, dataloader.dataset.opt['name'])
        try:
            original(self, dataloader, current_iter, tb_logger, save_img)
        finally:
            self.opt['path']['visualization'] = folder

    BaseModel.validation = validation


def mend_tensor2img() -> None:
    """Leave the tensor as it is that is made an image: on the CPU, BasicSR clamps it in place.

    Can go when ``tensor2img`` clamps a copy.
    """
    import torch
    from basicsr.utils import img_util

    original = img_util.tensor2img
    if 'clamp_' not in _names(original):
        return

    @functools.wraps(original)
    def tensor2img(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        copies = [
            one.clone() if torch.is_tensor(one) else one for one in (tensor if isinstance(tensor, list) else [tensor])
        ]
        return original(copies if isinstance(tensor, list) else copies[0], *args, **kwargs)

    _replace_everywhere(original, tensor2img)


def mend_jpeg_quality() -> None:
    """Compress with a whole JPEG quality: OpenCV 5 refuses the fractions that BasicSR draws.

    Can go when ``add_jpg_compression`` rounds.
    """
    import numpy as np
    from basicsr.data import degradations

    original = degradations.add_jpg_compression
    try:
        original(np.zeros((8, 8, 3), np.float32), 90.5)
    except Exception:  # OpenCV's own class, or TypeError, by version
        pass
    else:
        return

    @functools.wraps(original)
    def add_jpg_compression(img: Any, quality: float = 90) -> Any:
        return original(img, round(quality))

    _replace_everywhere(original, add_jpg_compression)


def mend_unsafe_loading() -> None:
    """Let no checkpoint run code, wherever it is loaded: BasicSR's networks load weights themselves (SpyNet, VGG).

    Since torch 2.6 that is the default.
    """
    import torch
    from torch.torch_version import TorchVersion

    if TorchVersion(torch.__version__) < (2, 6):
        os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')


def mend_distributed_start() -> None:
    """Let ``--launcher`` run on machines without a GPU (gloo), and give each process the GPU of its local rank.

    BasicSR knows NCCL and CUDA devices only, and takes the GPU by the rank in the whole run, so that too many processes
    share one and hang. Can go when BasicSR asks whether CUDA is there and goes by ``LOCAL_RANK``.
    """
    import torch
    from basicsr.models.base_model import BaseModel
    from basicsr.utils import dist_util

    from converse_basicsr import distributed

    original_init, original_to_device = dist_util.init_dist, BaseModel.model_to_device

    if 'is_available' not in _names(original_init):

        @functools.wraps(original_init)
        def init_dist(launcher: str, backend: str = 'nccl', port: int | None = None) -> None:
            if not torch.distributed.is_initialized():
                distributed.start(launcher, on_gpus=torch.cuda.is_available(), port=port)

        _replace_everywhere(original_init, init_dist)

    if 'is_available' not in _names(original_to_device):

        @functools.wraps(original_to_device)
        def model_to_device(self: Any, net: Any) -> Any:
            if not self.opt['dist'] or self.device.type == 'cuda':
                return original_to_device(self, net)
            return torch.nn.parallel.DistributedDataParallel(
                net.to(self.device), find_unused_parameters=self.opt.get('find_unused_parameters', False)
            )

        BaseModel.model_to_device = model_to_device


def mend_option_reading() -> None:
    """Read option files with the safe YAML loader and overrides as YAML values, and check the data paths first.

    BasicSR's loader can construct arbitrary Python objects, and ``--force_yml`` is run through ``exec`` and ``eval``.
    Can go when BasicSR does neither.
    """
    from basicsr.utils import options

    from converse_basicsr import command_line

    original = options.parse_options
    if 'exec' in _names(original) or 'eval' in _names(options._postprocess_yml_value):
        _replace_everywhere(original, functools.partial(command_line.parse_options, original))


def newest_intact_state(folder: str | os.PathLike[str], networks: Iterable[str] = ('g',)) -> Path | None:
    """Find the training state with the highest iteration that is whole and whose networks are whole as well.

    Args:
        folder: The run's ``training_states`` folder.
        networks: Labels of the run's networks: ``g`` for ``net_g_5000.pth``.

    Returns:
        Its path, or ``None`` if there is none. States that cannot be used are named on standard error.
    """
    from converse_basicsr import training_state

    folder = Path(folder)
    for number in reversed(training_state.saved_iterations(folder)):
        path = folder / f'{number}.state'
        try:
            require_intact(path)
            state = read_checkpoint(path)
            if not isinstance(state, dict) or not {'iter', 'epoch', 'optimizers', 'schedulers'} <= set(state):
                raise UserError(f'{path} is not a training state')
            for label in networks:
                require_intact(folder.parent / 'models' / f'net_{label}_{number}.pth')
        except UserError as error:
            print(f'auto_resume: skipping {path.name}: {error}', file=sys.stderr, flush=True)
        else:
            return path
    return None


def mend_resume() -> None:
    """Resume on any device, from the folder the run saves to, at the newest checkpoint that is whole, with all it knew.

    BasicSR asks for a CUDA device, and looks for states under the current directory's ``experiments`` even where it
    saves elsewhere: there ``--auto_resume`` silently starts again from 0. It forgets the best metrics and the random
    generators. Can go when it does neither.
    """
    from basicsr import train
    from basicsr.models.base_model import BaseModel
    from basicsr.utils import check_resume

    original = train.load_resume_state
    if 'current_device' not in _names(original):
        return

    @functools.wraps(original)
    def load_resume_state(opt: dict[str, Any]) -> dict[str, Any] | None:
        path = opt['path'].get('resume_state')
        if opt['auto_resume']:
            path = _on_rank_0(opt, functools.partial(_find_state, opt))
            opt['path']['resume_state'] = path
        if not path:
            return None
        state = read_checkpoint(path)
        check_resume(opt, state['iter'])
        # The place in the data is one in the order of this seed, be it drawn or changed since.
        opt['manual_seed'] = state.get('manual_seed', opt['manual_seed'])
        opt['data_progress'] = {'epoch': state['epoch'], 'iter': state['iter']}
        # States written without this package lack it: their epoch starts again.
        opt['data_progress']['position'] = state.get('data_position', 0)
        return state

    _replace_everywhere(original, load_resume_state)

    original_resume = BaseModel.resume_training

    @functools.wraps(original_resume)
    def resume_training(self: Any, resume_state: dict[str, Any]) -> None:
        original_resume(self, resume_state)
        self.load_further_training_state(resume_state)
        metrics = set((self.opt.get('val') or {}).get('metrics') or {})
        best = resume_state.get('best_metric_results', {})
        # A metric that was added since has no best value yet: BasicSR then needs the set of data without any.
        self.best_metric_results = {name: records for name, records in best.items() if set(records) == metrics}
        self.resumed_state = resume_state

    BaseModel.resume_training = resume_training
    BaseModel.load_further_training_state = lambda self, state: None


def _find_state(opt: dict[str, Any]) -> str | None:
    from converse_basicsr import training_state

    folder = Path(opt['path']['training_states'])
    training_state.remove_unfinished([folder, Path(opt['path']['models'])])
    ignored = opt['path'].get('ignore_resume_networks') or ()
    networks = [key.removeprefix('network_') for key in opt if key.startswith('network_') and key not in ignored]
    path = newest_intact_state(folder, networks)
    if path is None:
        print(f'auto_resume: no checkpoint in {folder}, starting from 0', flush=True)
    return None if path is None else str(path)


def _on_rank_0(opt: dict[str, Any], function: Callable[[], Any]) -> Any:
    """What ``function`` returns on rank 0: processes that looked for themselves might find different things."""
    import torch.distributed

    answer = [function() if opt['rank'] == 0 else None]
    if opt['dist']:
        torch.distributed.broadcast_object_list(answer, src=0)
    return answer[0]


def mend_iteration_count() -> None:
    """Run exactly ``total_iter`` iterations: BasicSR counts the incomplete last batch that its loader drops.

    With 20 images at batch 8 it ran 22 of 30 iterations and exited with status 0; with fewer images than a batch, none.
    Can go when ``create_train_val_dataloader`` counts with ``len(train_loader)``.

    Models that split batches (``splits_batches``) get ``accum_iter`` batches at once: an iteration stays one optimizer
    step, whatever its samples are divided into.
    """
    import torch
    from basicsr import train
    from basicsr.utils.registry import MODEL_REGISTRY

    from converse_basicsr import training_state

    original = train.create_train_val_dataloader
    if 'ceil' not in _names(original):
        return

    @functools.wraps(original)
    def create_train_val_dataloader(opt: dict[str, Any], logger: logging.Logger) -> tuple[Any, ...]:
        mend_spawned_datasets()  # those that other plugins have registered since
        train_opt = opt['datasets']['train']
        splits = getattr(MODEL_REGISTRY.get(opt['model_type']), 'splits_batches', False)
        accum_iter = opt['train'].get('accum_iter', 1) if splits else 1
        loader_opt = {**train_opt, 'batch_size_per_gpu': train_opt['batch_size_per_gpu'] * accum_iter}
        loaders_opt = {**opt, 'datasets': {**opt['datasets'], 'train': loader_opt}}
        try:
            train_loader, train_sampler, val_loaders, _, total_iters = original(loaders_opt, logger)
        except ZeroDivisionError:
            raise UserError('datasets:train holds no image; see its dataroot_gt and meta_info') from None
        batches = len(train_loader)
        batch_size = train_loader.batch_size * opt['world_size']
        progress = {'epoch': 0, 'iter': 0, 'position': 0, **opt.get('data_progress', {})}
        progress.update(epoch_size=train_sampler.total_size, batch_size=batch_size)
        opt['data_progress'] = progress
        train_sampler.seed, train_sampler.batch_size = opt['manual_seed'], batch_size
        train_sampler.resume(progress['epoch'], progress['position'])
        if batches == 0:
            raise UserError(
                f'datasets:train: {len(train_loader.dataset)} images x dataset_enlarge_ratio '
                f'{opt["datasets"]["train"].get("dataset_enlarge_ratio", 1)} on {opt["world_size"]} process(es) '
                f'fill no batch of {train_loader.batch_size}; lower batch_size_per_gpu or raise dataset_enlarge_ratio'
            )
        # BasicSR's loop runs up to and with this epoch: one more would start workers for nothing.
        last_epoch = training_state.epoch_of(progress, total_iters)
        replicas = batch_size // (train_opt['batch_size_per_gpu'] * accum_iter)
        logger.info(
            f'Global batch: an iteration is one optimizer step on {batch_size} samples: {replicas} processes or GPUs '
            f'x batch_size_per_gpu {train_opt["batch_size_per_gpu"]} x accum_iter {accum_iter}.'
        )
        logger.info(f'Full batches per epoch: {batches}; epochs for {total_iters} iterations: {last_epoch + 1}.')
        # Starting an epoch or a validation then leaves the generators that networks draw from alone.
        for loader in (train_loader, *val_loaders):
            loader.generator = torch.Generator().manual_seed(opt['manual_seed'] + opt['rank'] + progress['iter'])
        return train_loader, train_sampler, val_loaders, last_epoch, total_iters

    _replace_everywhere(original, create_train_val_dataloader)


def mend_training_loop() -> None:
    """Between two iterations, do what BasicSR's loop leaves out: what a resumed run still owes, and a clean stop.

    A training state is written before the validation of its iteration, so a resumed run does that validation first; and
    with SIGTERM or Ctrl-C BasicSR loses everything since the last checkpoint. Can go when ``train_pipeline`` does both.
    """
    from basicsr import train
    from basicsr.models.base_model import BaseModel

    from converse_basicsr import stopping, training_state

    original = BaseModel.update_learning_rate
    if 'signal' in _names(train.train_pipeline) or 'resumed_state' in _names(original):
        return
    make_tb_loggers, make_loaders = train.init_tb_loggers, train.create_train_val_dataloader
    make_model = train.build_model
    held: dict[str, Any] = {}

    @functools.wraps(make_tb_loggers)
    def init_tb_loggers(opt: dict[str, Any]) -> Any:
        held['tb_logger'] = make_tb_loggers(opt)
        return held['tb_logger']

    @functools.wraps(make_loaders)
    def create_train_val_dataloader(opt: dict[str, Any], logger: logging.Logger) -> tuple[Any, ...]:
        result = make_loaders(opt, logger)
        held['val_loaders'] = result[2]
        return result

    @functools.wraps(make_model)
    def build_model(opt: dict[str, Any]) -> Any:
        model = make_model(opt)
        model.training_loop = dict(held)
        held.clear()
        return model

    @functools.wraps(original)
    def update_learning_rate(self: Any, current_iter: int, warmup_iter: int = -1) -> None:
        ended = current_iter - 1
        resumed = self.__dict__.pop('resumed_state', None)
        if resumed is not None:
            if 'generators' in resumed and not training_state.set_generator_states(resumed['generators']):
                logging.getLogger('basicsr').error('The state knows nothing of the random generators of this rank.')
            if resumed.get('validation_pending', False):
                for loader in self.training_loop['val_loaders']:
                    self.validation(loader, ended, self.training_loop['tb_logger'], self.opt['val']['save_img'])
        self.validated_iter = ended
        request = stopping.current_request()
        signum = request.signum_of_any(self.device) if request is not None else 0
        if signum:
            _save_and_stop(self, ended, signum)
        original(self, current_iter, warmup_iter)

    train.init_tb_loggers, train.create_train_val_dataloader = init_tb_loggers, create_train_val_dataloader
    train.build_model = build_model
    BaseModel.update_learning_rate = update_learning_rate


def _validation_pending(model: Any, current_iter: int) -> bool:
    """Whether the loop has still to validate after iteration ``current_iter``."""
    val, validated_iter = model.opt.get('val'), getattr(model, 'validated_iter', -1)
    return val is not None and current_iter % val['val_freq'] == 0 and validated_iter < current_iter


def _save_and_stop(model: Any, current_iter: int, signum: int) -> None:
    """Save after iteration ``current_iter``, on all processes, and leave BasicSR's loop."""
    import torch.distributed

    from converse_basicsr import stopping, training_state

    if current_iter > 0:
        model.save(training_state.epoch_of(model.opt['data_progress'], current_iter), current_iter)
    if model.opt['dist']:
        torch.distributed.barrier()  # a launcher ends all processes when the first has left
    saved = f'saved after iteration {current_iter}; go on with --auto_resume' if current_iter > 0 else 'nothing to save'
    tb_logger = model.training_loop['tb_logger']
    if tb_logger:
        tb_logger.close()
    raise stopping.Stopped(f'stopped by {signal.Signals(signum).name}: {saved}', signum)


def accept_converse_key() -> None:
    """Build networks with reverse convolutions in them: ``network_g: {type: EDSR, ..., converse: {upsample: true}}``.

    The key holds arguments of :func:`converse_basicsr.surgery.replace`. BasicSR hands it to the network, which refuses
    it.
    """
    from basicsr import archs

    original = archs.build_network
    if 'converse' in _names(original):
        return

    @functools.wraps(original)
    def build_network(opt: dict[str, Any]) -> Any:
        network_options = {key: value for key, value in opt.items() if key != 'converse'}
        net = original(network_options)
        if opt.get('converse') is not None:
            _exchange(net, opt['converse'])
        return net

    _replace_everywhere(original, build_network)


def _exchange(net: Any, options: Any) -> None:
    from converse_basicsr.surgery import exchange

    known = sorted(inspect.signature(exchange).parameters.keys() - {'net'})
    if not isinstance(options, dict) or not options.keys() <= set(known):
        raise UserError(
            f'converse, in the options of {type(net).__name__}, must be a section of {known}, got {options}'
        )
    try:
        exchange(net, **options)
    except ValueError as error:
        raise UserError(f'converse, in the options of {type(net).__name__}: {error}') from error
