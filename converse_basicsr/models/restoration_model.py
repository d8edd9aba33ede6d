"""The model for networks that also take the blur kernel, the scale or the noise level; with self-ensemble."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from converse_basicsr.archs.conditions import conditions_of
from converse_basicsr.models.training_model import TrainingModel


class RestorationModel(TrainingModel):
    """Train and validate any network ``net(x)``, ``net(x, kernel)``, ``net(x, kernel, scale)``, ... on degraded images.

    Beside ``lq``, the network gets those of ``kernel``, ``scale`` and ``sigma`` that are parameters of its ``forward``.
    They come from the dataset; the scale comes from the option file if the dataset does not give it. Everything else is
    BasicSR's ``SRModel`` with the training options of :class:`~converse_basicsr.models.training_model.TrainingModel`.

    With ``val: {self_ensemble: true}`` the output is the mean over the eight flips and transpositions of the input. The
    kernel is transformed like the image, so it works for deblurring too. It does not work with a kernel and a scale
    above 1: decimation keeps the first pixel of each block, so a flipped image would have been decimated on another
    grid.

    Args:
        opt: The option file's content, completed for a run.

    Raises:
        ValueError: If the dataset does not give what the network requires, or self-ensemble does not work for it.

    Example (in an option file)::

        model_type: RestorationModel
        network_g:
          type: ConverseUSRNet
    """

    def __init__(self, opt: dict[str, Any]) -> None:
        self.conditions: dict[str, Any] = {}
        super().__init__(opt)
        taken = conditions_of(self.get_bare_model(self.net_g))
        self.wanted = list(taken)
        self.required = [name for name, is_required in taken.items() if is_required]
        self.self_ensemble = bool((opt.get('val') or {}).get('self_ensemble', False))
        if self.self_ensemble and 'kernel' in self.wanted and opt.get('scale', 1) != 1:
            raise ValueError('self_ensemble must be false for a network with a kernel and a scale above 1')
        # SRModel calls net(lq); the hook adds the rest before DataParallel or DistributedDataParallel scatter it.
        for net in (self.net_g, getattr(self, 'net_g_ema', None)):
            if net is not None:
                net.register_forward_pre_hook(self._add_conditions, with_kwargs=True)

    def _add_conditions(
        self, net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, {**kwargs, **self.conditions}

    def feed_data(self, data: Mapping[str, Any]) -> None:
        """Take ``lq`` and ``gt``, and whatever else the network takes."""
        super().feed_data(data)
        self.conditions = {name: data[name].to(self.device) for name in self.wanted if name != 'scale' and name in data}
        if 'scale' in self.wanted:
            self.conditions['scale'] = int(data['scale'][0] if 'scale' in data else self.opt.get('scale', 1))
        absent = [name for name in self.required if name not in self.conditions]
        if absent:
            raise ValueError(f'the dataset must give {", ".join(absent)} for this network, got only {sorted(data)}')

    def test(self) -> None:
        """Run the network on the current image, with self-ensemble if the option file says so."""
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
