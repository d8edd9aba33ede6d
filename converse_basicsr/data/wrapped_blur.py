"""Blur with wrapped borders, truncated to 8 bits: as the published tables make it, and the same at speed."""

import cv2
import numpy as np
from scipy.ndimage import convolve

# Above the rounding errors of a sum of 8-bit values (about 1e-12), below what any image could show: an even area keeps
# its value, which truncation would lower by one where the sum falls short of it.
ROUNDING = 1e-6


def blur_as_tables(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve an image with a kernel, to the bit as the published tables do (SciPy's ``convolve``).

    Args:
        image: uint8, (H, W, C).
        kernel: float64, (kh, kw), odd sides.

    Returns:
        The truncated result, uint8, (H, W, C).
    """
    return convolve(image, kernel[..., None], mode='wrap')


def blur(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve an image with a kernel as :func:`blur_as_tables`, several times as fast (OpenCV).

    The two differ only where the exact result is an integer, which this one keeps while the other's rounding errors
    decide, and where negative weights leave the range of 8 bits, at whose ends this one stops.

    Args:
        image: uint8, (H, W, C).
        kernel: float64, (kh, kw), odd sides.

    Returns:
        The truncated result, uint8, (H, W, C).
    """
    rows, columns = (side // 2 for side in kernel.shape)
    wrapped = cv2.copyMakeBorder(image, rows, rows, columns, columns, cv2.BORDER_WRAP)
    # OpenCV correlates: the convolution's kernel is turned round. Its large kernels go through a DFT.
    blurred = cv2.filter2D(wrapped, cv2.CV_64F, kernel[::-1, ::-1])
    height, width = image.shape[:2]
    blurred = blurred[rows : rows + height, columns : columns + width].reshape(image.shape)
    return (blurred + ROUNDING).clip(0, 255).astype(np.uint8)
