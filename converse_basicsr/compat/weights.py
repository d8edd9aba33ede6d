"""Networks and training states: moving averages, loading, and writing."""

import functools
import inspect
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from converse_basicsr.checkpoints import files
from converse_basicsr.compat.replacement import Replacement
from converse_basicsr.errors import UserError
from converse_basicsr.files.reading import Unreadable, require_file
from converse_basicsr.values.fitting import is_plain
from converse_basicsr.version import __version__


def ema_buffers() -> Iterator[Replacement]:
    """Copy buffers into the EMA network: without BatchNorm's running statistics its validation is meaningless.

    Can go when ``BaseModel.model_ema`` treats buffers.
    """
    from basicsr.models.base_model import BaseModel

    original = BaseModel.model_ema

    @functools.wraps(original)
    def model_ema(self: Any, decay: float = 0.999) -> None:
        original(self, decay)
        buffers = dict(self.get_bare_model(self.net_g).named_buffers())
        for name, buffer in self.net_g_ema.named_buffers():
            buffer.copy_(buffers[name])

    yield Replacement(BaseModel, 'model_ema', model_ema)


def loading_networks() -> Iterator[Replacement]:
    """Load flat and BasicSR-style checkpoints alike, with and without EMA, when starting and when resuming.

    BasicSR fails with ``KeyError: 'params_ema'`` on a flat state dict as soon as EMA is on, and a later resume with
    ``param_key_g: ~`` fails on missing keys. Can go when ``load_network`` looks into the file before it chooses.
    """
    from basicsr.models.base_model import BaseModel
    from basicsr.utils import get_root_logger

    @functools.wraps(BaseModel.load_network)
    def load_network(
        self: Any, net: Any, load_path: str, strict: bool = True, param_key: str | None = 'params'
    ) -> None:
        net = self.get_bare_model(net)
        parameters, found_key = files.choose_parameters(files.read(load_path), param_key, load_path)
        get_root_logger().info(
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

    yield Replacement(BaseModel, 'load_network', load_network)


def writing_networks() -> Iterator[Replacement]:
    """Write networks atomically, with the section that builds them, and stop when one cannot be written.

    BasicSR writes in place, so a kill leaves a truncated file that ``--auto_resume`` then picks; and it swallows a full
    disk, ending hours later with exit status 0 and no checkpoint. Can go when ``BaseModel`` renames a finished file
    into place, and the files state their network.
    """
    from basicsr.models.base_model import BaseModel
    from basicsr.utils.dist_util import master_only

    @master_only
    def save_network(
        self: Any, net: Any, net_label: str, current_iter: int, param_key: str | list[str] = 'params'
    ) -> None:
        nets = [self.get_bare_model(one) for one in (net if isinstance(net, list) else [net])]
        keys = param_key if isinstance(param_key, list) else [param_key]
        if len(nets) != len(keys):
            raise ValueError(f'param_key must name every network, got {keys} for {len(nets)} networks')
        content: dict[str, Any] = {
            key: {name.removeprefix('module.'): value.cpu() for name, value in one.state_dict().items()}
            for key, one in zip(keys, nets)
        }
        name = f'network_{net_label.removeprefix("net_")}'
        section = self.opt.get(name)
        # What a script passes may be anything; a file that holds it could not be read without running code.
        if isinstance(section, Mapping) and is_plain(stated := stated_network(section, type(nets[0]))):
            content[name] = stated
        content[files.VERSION_KEY] = __version__
        label = 'latest' if current_iter == -1 else current_iter
        suffix = (self.opt.get('logger') or {}).get('save_format', 'pth')
        files.write(content, Path(self.opt['path']['models'], f'{net_label}_{label}.{suffix}'))
        vars(self).setdefault('saved_networks', set()).add(net_label)  # whose files keep_last may delete

    yield Replacement(BaseModel, 'save_network', save_network)


def writing_states() -> Iterator[Replacement]:
    """Write training states atomically, with what the training loop adds to BasicSR's part.

    The loop hands that over in the model's attribute ``run_state``, a mapping of plain values and tensors. Can go when
    ``BaseModel`` renames a finished file into place.
    """
    from basicsr.models.base_model import BaseModel
    from basicsr.utils.dist_util import master_only

    @master_only
    def save_training_state(self: Any, epoch: int, current_iter: int) -> None:
        if current_iter == -1:
            return
        state = {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [scheduler.state_dict() for scheduler in self.schedulers],
            **getattr(self, 'run_state', {}),
        }
        files.write(state, Path(self.opt['path']['training_states'], f'{current_iter}.state'))

    yield Replacement(BaseModel, 'save_training_state', save_training_state)


def loading_without_code() -> Iterator[Replacement]:
    """Let no checkpoint run code, wherever it is loaded: BasicSR's networks load weights themselves (SpyNet, VGG).

    Since torch 2.6 that is the default, which the environment variable ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` reverses. A
    caller who names ``weights_only`` or an unpickler of its own is left alone.
    """
    import torch

    original = torch.load

    @functools.wraps(original)
    def load(f: Any, map_location: Any = None, pickle_module: Any = None, **others: Any) -> Any:
        if pickle_module is not None or others.get('weights_only') is not None:
            return original(f, map_location, pickle_module, **others)
        is_path = isinstance(f, (str, os.PathLike))
        try:
            if is_path:
                require_file(f)  # a pipe would be waited for
            return original(f, map_location, **{**others, 'weights_only': True})
        except Unreadable as error:
            raise UserError(f'checkpoint {os.fspath(f)} {error}') from None
        except (pickle.UnpicklingError, RuntimeError) as error:
            if 'weights_only' not in str(error):
                raise
            # torch advises here to load it all the same
            raise pickle.UnpicklingError(
                f'checkpoint {os.fspath(f) if is_path else f} is damaged, or holds more than tensors and plain values, '
                'which could run code: it is not loaded'
            ) from None

    yield Replacement(torch, 'load', load)


def stated_network(section: Mapping[str, Any], network: type) -> dict[str, Any]:
    """Complete the section that built a network with the defaults of its class, which a later version may change.

    Args:
        section: ``type`` and arguments, as in an option file.
        network: The class.

    Returns:
        The section in plain values, which ``torch.load(..., weights_only=True)`` reads.
    """
    parameters = inspect.signature(network).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in section and isinstance(parameter.default, (bool, int, float, str, type(None)))
    }
    return _plain({**section, **defaults})


def _plain(value: Any) -> Any:
    """Turn mappings, sequences, texts and numbers of any class (NumPy's) into those of Python."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), value)
