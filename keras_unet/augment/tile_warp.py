"""The second half of augmentation: windows that were cut out of images become varied tiles.

Nothing here is random and all sizes are fixed, so the whole is compiled once and runs on a batch wherever TensorFlow
places it: on the CPU in `Dataset.map`, or on the accelerator just before the net.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_unet.augment import sampling_field
from keras_unet.augment.augmentation_settings import AugmentationSettings
from keras_unet.augment.gray_values import blurred, pixel_noise, vary_gray_values
from keras_unet.augment.random_draws import Draw
from keras_unet.preprocessing.pixel_normalization import limited, means_and_deviations


class Cut(NamedTuple):
    """What a tile is made of: the surroundings of its centre, where they lie, and its random numbers.

    A batch has one more axis in front of each.

    Attributes:
        image: `(source height, source width, channels)`, raw pixels.
        label: `(source height, source width)` whole numbers.
        weight: `(source height, source width)`.
        centre: `(2,)` float32 row and column of the tile's centre in the image, in pixels.
        size: `(2,)` int32 height and width of the whole image.
        origin: `(2,)` int32 row and column of the image at which the window begins.
        drawn: The random numbers; its shift is part of the centre already.
        statistics: `(2, channels)` float32 means and standard deviations of the whole image.
    """

    image: tf.Tensor
    label: tf.Tensor
    weight: tf.Tensor
    centre: tf.Tensor
    size: tf.Tensor
    origin: tf.Tensor
    drawn: Draw
    statistics: tf.Tensor


class TileWarp:
    """Makes tiles of a batch of cuts: one warp for image, label and weights, then blur, gray values and noise.

    Arguments are those of `keras_unet.augment.TileAugmenter`, which says what they are.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self,
        settings: AugmentationSettings,
        *,
        input_size: tuple[int, int],
        output_size: tuple[int, int],
        normalize: bool = False,
        jit_compile: bool = True,
    ) -> None:
        self.settings = settings
        self.input_size, self.output_size, self.normalize = input_size, output_size, normalize
        self._check()
        self.compiled = tf.function(self._tiles, jit_compile=True) if jit_compile else self._tiles

    def __call__(self, cut: Cut) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Warp a batch.

        Returns:
            Image float32 `(batch, *input_size, channels)`, label `(batch, *output_size)` in its own dtype, weights
            float32 `(batch, *output_size)`.
        """
        image, label, weight = self.compiled(cut)
        return sampling_field.channels_last(image, 4), label, weight

    def _tiles(self, cut: Cut) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        positions = sampling_field.source_positions(
            cut.drawn.knots,
            cut.drawn.matrix,
            cut.drawn.magnification,
            cut.centre,
            tile_size=self.input_size,
            image_size=cut.size,
            sigma=self.settings.elastic_sigma,
        )
        image, label, weight = sampling_field.sample(
            cut.image,
            cut.label,
            cut.weight,
            positions,
            image_size=cut.size,
            origin=cut.origin,
            window=self._window(),
        )
        image = sampling_field.channels_last(image, 4)
        if self.settings.blur:
            image = blurred(image, cut.drawn.blur, self.settings.blur)
        if self.normalize or self.settings.varies_gray:
            image = self._normalized_and_varied(image, cut)
        return image, label, weight

    def _normalized_and_varied(self, image: tf.Tensor, cut: Cut) -> tf.Tensor:
        means, deviations = means_and_deviations(cut.statistics)
        image = (image - means) / deviations
        if self.settings.varies_gray:
            noise = pixel_noise(image.shape[1:].as_list(), cut.drawn.noise_seed) if self.settings.noise else None
            image = vary_gray_values(image, cut.drawn.gray, noise=noise)
        return limited(image) if self.normalize else image * deviations + means

    def _window(self) -> tuple[slice, slice]:
        starts = [(whole - part) // 2 for whole, part in zip(self.input_size, self.output_size, strict=True)]
        return (
            slice(starts[0], starts[0] + self.output_size[0]),
            slice(starts[1], starts[1] + self.output_size[1]),
        )

    def _check(self) -> None:
        for whole, part in zip(self.input_size, self.output_size, strict=True):
            if not 1 <= part <= whole or (whole - part) % 2:
                raise ValueError(
                    f"Expected an output window of 1 … {whole} px, smaller than the input by an even number, so that "
                    f"it lies in the centre. Received input_size={self.input_size}, output_size={self.output_size}."
                )
