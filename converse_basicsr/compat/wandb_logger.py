"""Weights & Biases."""

import functools
import importlib
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere
from converse_basicsr.errors import UserError


def wandb_ids() -> Iterator[Replacement]:
    """Start Weights & Biases of today: ``wandb.util.generate_id``, which BasicSR calls, is gone from it.

    Can go when ``init_wandb_logger`` leaves the id to ``wandb.init``.
    """
    from basicsr.utils import logger

    original = logger.init_wandb_logger

    @functools.wraps(original)
    def init_wandb_logger(opt: Any) -> None:
        try:
            wandb: Any = importlib.import_module('wandb')
            if not hasattr(wandb.util, 'generate_id'):
                wandb.util.generate_id = importlib.import_module('wandb.sdk.lib.runid').generate_id
            original(opt)
        except Exception as error:  # what it raises without a login, a network or a project of that name
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise UserError(f'logger:wandb: wandb cannot be started ({reason}); log in, or leave it out') from error

    yield from everywhere(original, init_wandb_logger)
