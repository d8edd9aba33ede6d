"""Let spandrel (chaiNNer, ComfyUI and others load models by it) recognise checkpoints of this package's networks."""

from typing import TYPE_CHECKING

import torch

from converse_basicsr import archs
from converse_basicsr.archs.detection import detect

try:
    from spandrel import (
        MAIN_REGISTRY,
        Architecture,
        ArchSupport,
        ImageModelDescriptor,
        ModelTiling,
        SizeRequirements,
        StateDict,
    )
except ImportError as error:
    raise ImportError('converse_basicsr.spandrel needs spandrel: pip install spandrel') from error

if TYPE_CHECKING:
    from spandrel import ArchRegistry

# Networks from one image to one image. Those that take a blur kernel as well do not fit spandrel's call.
NETWORKS = ('ConverseDnCNN', 'ConverseNet', 'ConverseSRResNet', 'ConverseUpSRResNet', 'DnCNN')
# The filters of the others span the whole image, so that tiles see another operator.
LOCAL_NETWORKS = ('ConverseUpSRResNet', 'DnCNN')

# Sizes as spandrel's own architectures name them.
TAGS = {'num_feat': 'nf', 'num_block': 'nb', 'num_layer': 'nl'}


def install(registry: 'ArchRegistry' = MAIN_REGISTRY) -> None:
    """Add the networks to a registry of spandrel; idempotent.

    They are looked for first: a state dict is taken only if a network has exactly its keys and shapes.

    Args:
        registry: That of a ``ModelLoader`` of yours, or the one that all others use.

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
        options = found.options
        scale = options.get('upscale', 1)
        return ImageModelDescriptor(
            getattr(archs, found.type)(**options, **found.assumed),
            state_dict,
            architecture=self,
            purpose='Restoration' if scale == 1 else 'SR',
            tags=[f'{options[argument]}{tag}' for argument, tag in TAGS.items() if argument in options],
            supports_half=True,  # the operator itself computes in float32
            supports_bfloat16=True,
            scale=scale,
            input_channels=options['num_in_ch'],
            output_channels=options['num_out_ch'],
            # A circular or reflected border, kernel_size - 1 wide, has to come from the image.
            size_requirements=SizeRequirements(minimum=options.get('kernel_size', 0)),
            tiling=ModelTiling.SUPPORTED if found.type in LOCAL_NETWORKS else ModelTiling.DISCOURAGED,
        )
