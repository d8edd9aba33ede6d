"""Score one image before a training begins: what fails at the first validation would fail hours later."""

import contextlib
import copy
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from basicsr.models.sr_model import SRModel
from torch import nn
from torch.utils.data import DataLoader, Dataset

from converse_basicsr.data.bad_samples import GuardedDataset
from converse_basicsr.data.sample_seed import SeededDataset
from converse_basicsr.errors import UserError
from converse_basicsr.options import check
from converse_basicsr.options.check.attempt import generators_kept, one_line, quiet
from converse_basicsr.options.file import OptionFile


def require_fit(
    model: Any, trained: DataLoader[Any] | None, scored: Iterable[DataLoader[Any]], option_file: OptionFile
) -> None:
    """Refuse data, networks and metrics that do not fit each other.

    Args:
        model: A model of BasicSR.
        trained: The loader of the training data, if the run trains.
        scored: The loaders of the validation or test sets.
        option_file: The options.

    Raises:
        UserError: With all problems.
    """
    datasets = {} if trained is None else {'train': _innermost(trained.dataset)}
    for loader in scored:
        datasets[_section_of(loader.dataset, option_file)] = _innermost(loader.dataset)
    networks = {}
    for key in option_file.options:
        network = getattr(model, f'net_{key.removeprefix("network_")}', None) if key.startswith('network_') else None
        if network is not None:
            with contextlib.suppress(Exception):  # a network of a plugin that cannot be copied
                networks[key] = _without_memory(model.get_bare_model(network), model)
    check.require_fit(option_file, datasets, networks)


def _innermost(dataset: Any) -> Any:
    while isinstance(dataset, (GuardedDataset, SeededDataset)):
        dataset = dataset.dataset
    return dataset


def _section_of(dataset: Any, option_file: OptionFile) -> str:
    sections = option_file.options['datasets']
    return next((name for name, section in sections.items() if section['name'] == dataset.opt['name']), 'val')


def _without_memory(network: nn.Module, model: Any) -> nn.Module:
    """Copy a network with parameters and buffers that are shapes only; hooks may refer to the model."""
    memo: dict[int, Any] = {id(model): model}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device='meta'), parameter.requires_grad)
    for buffer in network.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device='meta')
    return copy.deepcopy(network, memo)


def rehearse(model: Any, trained: DataLoader[Any], scored: Sequence[DataLoader[Any]], option_file: OptionFile) -> None:
    """Refuse what does not fit, score the first image of each validation set, and leave the model as it was.

    Models with a validation of their own score nothing: what it writes is not known. All processes do this.

    Args:
        model: A model of BasicSR.
        trained: The loader of the training data.
        scored: The loaders of the validation sets.
        option_file: The options.

    Raises:
        UserError: If something does not fit, or scoring fails.
    """
    require_fit(model, trained, scored, option_file)
    val = model.opt.get('val')
    if val is None or getattr(type(model), 'nondist_validation', None) is not SRModel.nondist_validation:
        return
    before = dict(vars(model))
    model.opt['val'] = {**val, 'pbar': False}
    try:
        with quiet():
            for loader in scored:
                try_validation(model, loader, option_file)
    finally:
        vars(model).clear()
        vars(model).update(before)
        model.opt['val'] = val


def try_validation(model: Any, loader: DataLoader[Any], option_file: OptionFile) -> None:
    """Score the first image of a set, in this process.

    Args:
        model: A model of BasicSR.
        loader: The loader of the set.
        option_file: The options, for the message.

    Raises:
        UserError: If that fails.
    """
    dataset: Any = loader.dataset
    section = _section_of(dataset, option_file)
    with named(option_file, 'when its first image was scored', 'datasets', section), generators_kept():
        model.nondist_validation(DataLoader(_First(dataset), batch_size=1), 0, None, False)


class _First(Dataset[Any]):
    """The first sample of a dataset, with everything else of it."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return min(1, len(self.dataset))

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __getattr__(self, attribute: str) -> Any:
        if attribute == 'dataset' or attribute.startswith('__'):
            raise AttributeError(attribute)
        return getattr(self.dataset, attribute)


@contextlib.contextmanager
def named(option_file: OptionFile, doing: str, *keys: str) -> Iterator[None]:
    """Turn whatever BasicSR, PyTorch or a plugin raises into one line with the key at fault.

    Args:
        option_file: The options.
        doing: When it happened.
        keys: The key to name where the error itself does not lead to one.
    """
    try:
        yield
    except UserError:
        raise
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        place = option_file.where(*(('datasets', 'train', 'batch_size_per_gpu') if keys == ('train',) else keys))
        raise UserError(f'{place}: the memory was used up {doing}: {one_line(error)}') from error
    except Exception as error:
        place = option_file.where(*(_key_at_fault(error, option_file.options) or keys))
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = f'{type(error).__name__} in {Path(where.filename).name}:{where.lineno}'
        raise UserError(f'{place}: failed {doing}: {one_line(error)} ({kind})') from error


def _key_at_fault(error: Exception, options: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Find the section of the network, loss, optimizer or metric in whose code an error arose."""
    sections = dict(_sections({key: value for key, value in options.items() if key != 'datasets'}))
    found, trace = None, error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        name = frame.f_code.co_name if 'self' not in frame.f_locals else type(frame.f_locals['self']).__name__
        found = sections.get(name, found)
        trace = trace.tb_next
    return found


def _sections(options: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the name of everything that an option file takes from a registry, with the place of its section."""
    for key, value in options.items():
        if isinstance(value, dict):
            if isinstance(value.get('type'), str):
                yield value['type'], (*keys, key)
            yield from _sections(value, (*keys, key))
