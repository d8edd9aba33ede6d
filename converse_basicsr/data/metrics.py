"""Metrics of the published tables: BasicSR's PSNR and SSIM, on luma that is rounded to 8 bits."""

import numpy as np
from basicsr.metrics import calculate_psnr, calculate_ssim
from basicsr.metrics.metric_util import reorder_image
from basicsr.utils import bgr2ycbcr


def calculate_psnr_uint8(
    img: np.ndarray, img2: np.ndarray, crop_border: int, input_order: str = 'HWC', test_y_channel: bool = False
) -> float:
    r"""PSNR in dB between two 8-bit images, on luma (rounded to 8 bits) or on all channels.

    The published super-resolution tables convert both images to BT.601 studio-swing luma and **round it to uint8**, as
    MATLAB's ``rgb2ycbcr`` does. BasicSR's ``calculate_psnr`` does not round it, and gives 0.01 to 0.02 dB more. On all
    channels the two are equal.

    Args:
        img: Restored image, uint8, BGR or grey.
        img2: Ground truth, likewise.
        crop_border: Number of pixels left out at each side; the tables use the scale.
        input_order: ``HWC`` or ``CHW``.
        test_y_channel: Compare luma instead of all channels.

    Returns:
        :math:`10 \log_{10}(255^2 / \mathrm{MSE})`; infinite for equal images.

    Shape:
        - img, img2: :math:`(H, W)` or :math:`(H, W, C)`, or :math:`(C, H, W)` with ``input_order='CHW'``

    Raises:
        ValueError: If the images are not uint8, or their shapes differ.

    Example:
        >>> import numpy as np
        >>> grey = np.full((8, 8), 100, np.uint8)
        >>> round(calculate_psnr_uint8(grey, grey + 1, crop_border=0), 2)
        48.13
    """
    return float(calculate_psnr(*_prepare(img, img2, input_order, test_y_channel), crop_border=crop_border))


def calculate_ssim_uint8(
    img: np.ndarray, img2: np.ndarray, crop_border: int, input_order: str = 'HWC', test_y_channel: bool = False
) -> float:
    """SSIM between two 8-bit images, on luma (rounded to 8 bits) or on all channels.

    Arguments and errors are those of :func:`calculate_psnr_uint8`; BasicSR's ``calculate_ssim`` does not round luma.

    Returns:
        The mean structural similarity, at most 1.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004.
    """
    return float(calculate_ssim(*_prepare(img, img2, input_order, test_y_channel), crop_border=crop_border))


def _prepare(
    img: np.ndarray, img2: np.ndarray, input_order: str, test_y_channel: bool
) -> tuple[np.ndarray, np.ndarray]:
    if img.dtype != np.uint8 or img2.dtype != np.uint8:
        raise ValueError(f'img and img2 must be uint8, got {img.dtype} and {img2.dtype}')
    if img.shape != img2.shape:
        raise ValueError(f'img and img2 must have one shape, got {img.shape} and {img2.shape}')
    img, img2 = reorder_image(img, input_order), reorder_image(img2, input_order)
    if test_y_channel and img.shape[2] == 3:
        img, img2 = bgr2ycbcr(img, y_only=True)[..., None], bgr2ycbcr(img2, y_only=True)[..., None]
    return img, img2
