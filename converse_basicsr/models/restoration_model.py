"""The training model for networks that also take the blur kernel, the scale or the noise level, with self-ensemble."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from converse_basicsr.models.training_model import TrainingModel

CONDITIONS = ('kernel', 'scale', 'sigma')
"""What a network may take beside the image, by the names of its forward's parameters."""


class RestorationModel(TrainingModel):
    """Train and validate any network ``net(x)``, ``net(x, kernel)``, ``net(x, kernel, scale)``, ... on degraded images.

    Beside ``lq``, the network gets what its ``forward`` names among ``kernel``, ``scale`` and ``sigma``: from the
    dataset, or the scale from the option file where the dataset does not give it. Everything else is BasicSR's
    ``SRModel`` with the training options of :class:`~converse_basicsr.models.training_model.TrainingModel`.

    With ``val: {self_ensemble: true}`` the output is the mean over the eight flips and transpositions of the input. The
    kernel is turned along with the image, so it works for deblurring too; not where a kernel and a scale above 1 meet,
    because decimation keeps the first pixel of each block and a flipped image was decimated on another grid.

    Args:
        opt: The option file's content, completed by BasicSR.

    Raises:
        ValueError: If the network asks for a condition that the dataset does not give, or self-ensemble does not apply.

    Example (in an option file)::

        model_type: RestorationModel
        network_g:
          type: ConverseUSRNet
    """

    def __init__(self, opt: dict[str, Any]) -> None:
        self.conditions: dict[str, Any] = {}
        super().__init__(opt)
        parameters = inspect.signature(self.get_bare_model(self.net_g).forward).parameters
        self.wanted = [name for name in CONDITIONS if name in parameters]
        self.required = [name for name in self.wanted if parameters[name].default is inspect.Parameter.empty]
        self.self_ensemble = bool((opt.get('val') or {}).get('self_ensemble', False))
        if self.self_ensemble and 'kernel' in self.wanted and opt.get('scale', 1) != 1:
            raise ValueError('self_ensemble must be false for a network with a kernel and a scale above 1')
        # SRModel calls net(lq): the hook adds the rest, before DataParallel or DistributedDataParallel distribute it.
        for net in (self.net_g, getattr(self, 'net_g_ema', None)):
            if net is not None:
                net.register_forward_pre_hook(self._add_conditions, with_kwargs=True)

    def _add_conditions(
        self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, {**kwargs, **self.conditions}

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take ``lq`` and ``gt``, and what else the network asks for."""
        super().feed_data(data)
        self.conditions = {name: data[name].to(self.device) for name in self.wanted if name != 'scale' and name in data}
        if 'scale' in self.wanted:
            self.conditions['scale'] = int(data['scale'][0] if 'scale' in data else self.opt.get('scale', 1))
        absent = [name for name in self.required if name not in self.conditions]
        if absent:
            raise ValueError(f'the dataset must give {", ".join(absent)} for this network, got only {sorted(data)}')

    def test(self) -> None:
        """Run the network on the fed image, with self-ensemble if the option file asks for it."""
        if not self.self_ensemble:
            super().test()
            return
        lq, conditions = self.lq, self.conditions
        total = torch.zeros(())
        for turn in range(8):
            self.lq = turned(lq, turn)
            self.conditions = {
                name: turned(value, turn) if name == 'kernel' else value for name, value in conditions.items()
            }
            super().test()
            total = total.to(self.output.device) + turned_back(self.output, turn)
        self.lq, self.conditions, self.output = lq, conditions, total / 8


def turned(image: torch.Tensor, turn: int) -> torch.Tensor:
    """Apply one of the eight symmetries of the square: bit 0 flips columns, bit 1 rows, bit 2 transposes afterwards."""
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if turn & bit]
    image = image.flip(axes) if axes else image
    return image.transpose(-1, -2) if turn & 4 else image


def turned_back(image: torch.Tensor, turn: int) -> torch.Tensor:
    """Undo :func:`turned`."""
    return turned(image.transpose(-1, -2) if turn & 4 else image, turn & 3)
