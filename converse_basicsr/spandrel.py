"""Let spandrel (chaiNNer, ComfyUI and others load models by it) recognise checkpoints of this package's networks."""

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from converse_basicsr import archs
from converse_basicsr.archs.conditions import conditions_of
from converse_basicsr.archs.detection import detect
from converse_basicsr.archs.reach import reach_of
from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.register import REGISTERED

try:
    from spandrel import (
        MAIN_REGISTRY,
        Architecture,
        ArchRegistry,
        ArchSupport,
        ImageModelDescriptor,
        ModelDescriptor,
        ModelLoader,
        ModelTiling,
        SizeRequirements,
        StateDict,
    )
except ImportError as error:
    raise ImportError('converse_basicsr.spandrel needs spandrel: pip install spandrel') from error

# Networks from one image to one image. Those that take a blur kernel as well do not fit spandrel's call.
NETWORKS = tuple(
    name for name in REGISTERED['arch']['converse_basicsr.archs'] if not conditions_of(getattr(archs, name))
)

# Sizes as spandrel's own architectures name them.
TAGS = {'num_feat': 'nf', 'num_block': 'nb', 'num_layer': 'nl'}


def install(registry: ArchRegistry = MAIN_REGISTRY) -> None:
    """Add the networks to a registry of spandrel; idempotent.

    They are tried first: a state dict is accepted only if a network has exactly its keys and shapes. Arguments that
    these do not determine are assumed, because spandrel passes on the state dict alone; :func:`load_from_file` reads
    them from the file.

    Args:
        registry: The registry of your ``ModelLoader``; by default the one that all others use.

    Example:
        >>> from spandrel import ArchRegistry, ModelLoader
        >>> registry = ArchRegistry()
        >>> install(registry)
        >>> net = archs.ConverseSRResNet(num_feat=8, num_block=1, upscale=2)
        >>> ModelLoader(registry=registry).load_from_state_dict(net.state_dict()).scale
        2
    """
    others = tuple(support.architecture.id for support in registry)
    supports = [ArchSupport.from_architecture(ConverseArchitecture(name), before=others) for name in NETWORKS]
    registry.add(*supports, ignore_duplicates=True)


def load_from_file(path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> ModelDescriptor:
    """Load a file as a ``ModelLoader`` does, but build these networks with the arguments that the file states.

    Files of this package's training state their network. All others, also those of spandrel's own networks, are
    recognised as after :func:`install`.

    Args:
        path: The file.
        device: Where to put the model; the CPU if None.

    Raises:
        spandrel.UnsupportedModelError: If the file is of no network that is known.
        ValueError: If the weights do not fit the network that the file states.
    """
    registry = MAIN_REGISTRY.copy()
    install(registry)
    loader = ModelLoader(device, registry)
    try:
        content = files.read(path) if Path(path).suffix in files.SUFFIXES else None
    except UserError:  # spandrel reads some of the files that hold more than tensors, and explains the errors of others
        content = None
    stated = files.network_of(content)
    if stated is None or stated['type'] not in NETWORKS or 'converse' in stated:
        return loader.load_from_file(Path(path))
    parameters, _ = files.choose_parameters(content, 'params_ema', path)
    parameters = {name.removeprefix('module.'): value for name, value in parameters.items()}
    architecture = ConverseArchitecture(stated.pop('type'))
    for argument, size in detect(parameters).options.items():  # before anything of the stated sizes is built
        if stated.get(argument, size) != size:
            raise ValueError(f'weights must fit {architecture.name}, which {path} states, got: {argument} {size}')
    try:
        return architecture.build(stated, parameters).to(loader.device)
    except (TypeError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise ValueError(f'weights must fit {architecture.name}, which {path} states, got: {reason}') from error


class ConverseArchitecture(Architecture[torch.nn.Module]):
    """One of :data:`NETWORKS`, recognised by ``converse_basicsr.archs.detection``.

    Args:
        network: Its class name; spandrel's id for it has the package before it, since spandrel has a DnCNN as well.
    """

    def __init__(self, network: str) -> None:
        super().__init__(id=f'converse_basicsr.{network}', name=network, detect=self._fits)

    def _fits(self, state_dict: StateDict) -> bool:
        if not all(isinstance(value, torch.Tensor) for value in state_dict.values()):
            return False
        try:
            return detect(state_dict).type == self.name
        except ValueError:
            return False

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[torch.nn.Module]:
        """Build the network that fits a state dict, with its weights.

        Raises:
            ValueError: If none fits.
        """
        found = detect(state_dict)
        return self.build({**found.options, **found.assumed}, state_dict)

    def build(self, arguments: Mapping[str, Any], state_dict: StateDict) -> ImageModelDescriptor[torch.nn.Module]:
        """Build the network of these arguments, with weights.

        Raises:
            TypeError: If the network has no such argument.
            RuntimeError: If the weights do not fit.
        """
        network = getattr(archs, self.name)
        defaults = {name: parameter.default for name, parameter in inspect.signature(network).parameters.items()}
        values = {**defaults, **arguments}
        scale = values.get('upscale', 1)
        return ImageModelDescriptor(
            network(**arguments),
            state_dict,
            architecture=self,
            purpose='Restoration' if scale == 1 else 'SR',
            tags=[f'{values[argument]}{tag}' for argument, tag in TAGS.items() if argument in values],
            supports_half=True,  # the operator itself computes in float32
            supports_bfloat16=True,
            scale=scale,
            input_channels=values['num_in_ch'],
            output_channels=values['num_out_ch'],
            # A circular or reflected border, kernel_size - 1 wide, has to come from the image.
            size_requirements=SizeRequirements(minimum=values.get('kernel_size', 0)),
            tiling=ModelTiling.DISCOURAGED if reach_of(network).spans_image else ModelTiling.SUPPORTED,
        )
