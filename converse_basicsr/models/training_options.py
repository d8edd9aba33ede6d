"""What the section ``train`` of an option file says about how an optimizer step is made."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.values import BOOLEAN, Schema, choice, describe, fits, integer, number, optional

FACTOR = number(above=0)
"""Of a learning rate."""


def _about(meaning: str, schema: Schema) -> dict[str, Any]:
    return {'meaning': meaning, 'schema': schema}


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How an optimizer step is made; the keys of ``train`` with these names.

    The check of option files, their JSON Schema and docs/options.md take meaning, default and schema of these keys from
    here (each field's ``metadata``).

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

    amp: str = dataclasses.field(
        default='no',
        # What YAML makes of an unquoted no is false.
        metadata=_about('precision of the forward pass; fp16 needs a GPU', choice('bf16', 'fp16', 'no', False)),
    )
    accum_iter: int = dataclasses.field(
        default=1, metadata=_about('batches whose gradients make one optimizer step', integer(1))
    )
    grad_clip: float | None = dataclasses.field(
        default=None, metadata=_about('largest L2 norm of all gradients together', optional(number(above=0)))
    )
    compile: bool = dataclasses.field(default=False, metadata=_about('train with torch.compile', BOOLEAN))
    channels_last: bool = dataclasses.field(
        default=False, metadata=_about('lay out weights and images with the channels last', BOOLEAN)
    )
    nonfinite_limit: int = dataclasses.field(
        default=10, metadata=_about('iterations in succession that may be skipped as not finite', integer(1))
    )

    @classmethod
    def read(cls, train: Mapping[str, Any]) -> 'TrainingOptions':
        """Take the options from the section ``train``.

        Raises:
            UserError: If a value is none of those that it may be.
        """
        given = {field.name: train[field.name] for field in dataclasses.fields(cls) if field.name in train}
        if given.get('amp') in (False, None) and 'amp' in given:
            given['amp'] = 'no'
        for field in dataclasses.fields(cls):
            schema = field.metadata['schema']
            if field.name in given and not fits(given[field.name], schema):
                raise UserError(f'train:{field.name} must be {describe(schema)}, got {given[field.name]!r}')
        return cls(**given)
