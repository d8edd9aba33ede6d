"""What the section ``train`` of an option file says about how an optimizer step is made."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from converse_basicsr.errors import UserError

AMP = ('bf16', 'fp16', 'no')


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How an optimizer step is made; the keys of ``train`` with these names.

    Attributes:
        amp: Precision of the network's forward pass: ``bf16`` or ``fp16`` under autocast, or ``no`` (float32). ``fp16``
            needs a GPU, and scales the loss. Losses and validation are in float32 in any case.
        accum_iter: Number of batches, of ``batch_size_per_gpu`` samples each, whose gradients make one optimizer step.
        grad_clip: Largest L2 norm of all gradients together; what is above is scaled down to it. ``None``: no limit.
        compile: Whether to train with ``torch.compile``.
        channels_last: Whether weights and images are laid out with the channels last, which suits tensor cores.
        nonfinite_limit: After this many iterations in succession whose loss or gradient is not finite, and which were
            skipped, training ends.
    """

    amp: str = 'no'
    accum_iter: int = 1
    grad_clip: float | None = None
    compile: bool = False
    channels_last: bool = False
    nonfinite_limit: int = 10

    @classmethod
    def read(cls, train: Mapping[str, Any]) -> 'TrainingOptions':
        """Take the options from the section ``train``.

        Raises:
            UserError: If a value is none of those that it may be.
        """
        given = {field.name: train[field.name] for field in dataclasses.fields(cls) if field.name in train}
        if given.get('amp') in (False, None) and 'amp' in given:
            given['amp'] = 'no'  # what YAML makes of an unquoted no
        options = cls(**given)
        rules = {
            'amp': (options.amp in AMP, f'one of {", ".join(AMP)}'),
            'accum_iter': (_whole(options.accum_iter), 'a whole number from 1 up'),
            'grad_clip': (options.grad_clip is None or _positive(options.grad_clip), 'a number above 0, or ~'),
            'compile': (isinstance(options.compile, bool), 'true or false'),
            'channels_last': (isinstance(options.channels_last, bool), 'true or false'),
            'nonfinite_limit': (_whole(options.nonfinite_limit), 'a whole number from 1 up'),
        }
        for name, (kept, rule) in rules.items():
            if not kept:
                raise UserError(f'train:{name} must be {rule}, got {getattr(options, name)!r}')
        return options


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
