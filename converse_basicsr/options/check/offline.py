"""A check downloads nothing: networks that fetch weights while they are built are left to the run."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any
from unittest import mock


class DownloadNeeded(Exception):
    """Something that cannot be built without a download; the text says what it asks for."""


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Let nothing be fetched from a network.

    Raises:
        DownloadNeeded: If the body fails after it tried.
    """
    import torch

    asked: list[str] = []

    def refuse(address: Any, *_: Any, **__: Any) -> Any:
        asked.append(str(address))
        raise OSError(f'{address} is not fetched during a check')

    with mock.patch.object(torch.hub, 'download_url_to_file', refuse), mock.patch.object(socket, 'getaddrinfo', refuse):
        try:
            yield
        except Exception as error:
            if asked:
                raise DownloadNeeded(asked[0]) from error
            raise
