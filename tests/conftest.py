import os
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder with the public test images (``data/``) and the released weights (``model_zoo/``)."""
    folder = os.environ.get('CONVERSE_BASICSR_DATA')
    if not folder:
        pytest.skip('needs the test images and released weights: set CONVERSE_BASICSR_DATA to their folder')
    return Path(folder)
