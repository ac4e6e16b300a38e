// The geometry of a convolution: what a node says, and how its padded data lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/binary_conv/tile.h"

namespace bnn {

// What a node says; axis 0 is height, 1 is width.
struct BinaryConvShape {
  int64_t kernel[2];
  int64_t strides[2];
  int64_t pads[4];  // top, left, bottom, right; none negative
  int64_t dilations[2];
  int64_t groups;
  int64_t channels;  // of one group
  int64_t outputs;   // of all groups

  int64_t taps() const { return kernel[0] * kernel[1]; }
  int64_t bits() const { return taps() * channels; }
  // Below 1 when the kernel does not fit.
  int64_t out_size(int axis, int64_t size) const {
    const int64_t room = size + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1;
    return room < 0 ? 0 : room / strides[axis] + 1;
  }
};

// A dense layer is a convolution of images of one pixel.
inline BinaryConvShape dense_shape(int64_t channels, int64_t outputs) {
  return {{1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 1, channels, outputs};
}

// A padded plane of 32-bit elements: [paddedHeight][stride of width][phaseWidth]. Columns are sorted by their remainder modulo the
// stride: then the ones that neighbouring outputs see through one tap are neighbours.
struct ConvLayout {
  int64_t height, width, outHeight, outWidth;
  int64_t paddedHeight, phaseWidth;
  ptrdiff_t rowWords, planeWords;

  int64_t pixels() const { return outHeight * outWidth; }
  // A plane is the image itself: no padding and no sorting of columns.
  bool is_plain() const { return phaseWidth == width && rowWords == width && paddedHeight == height; }
};

ConvLayout layout_of(const BinaryConvShape& shape, int64_t height, int64_t width);

// From the origin of a pixel to what it sees through a tap.
ptrdiff_t tap_offset(const BinaryConvShape& shape, const ConvLayout& layout, int64_t kernelRow, int64_t kernelColumn);

// The output pixels [begin, begin + count) of an image, count <= kTilePixels, as runs that lie side by side in a plane.
int runs_of(const BinaryConvShape& shape, const ConvLayout& layout, int64_t begin, int count, PanelRun* runs);

// Puts the image elements [at, at + count), row-major, where they belong in a padded plane whose first row is `origin`.
void scatter(const BinaryConvShape& shape, const ConvLayout& layout, const uint32_t* elements, int64_t at, int64_t count,
             int64_t origin, uint32_t* plane);

// Zeros what `scatter` of the whole image would leave of the padded rows [begin, end).
void clear_padding(const BinaryConvShape& shape, const ConvLayout& layout, int64_t begin, int64_t end, int64_t origin,
                   uint32_t* plane);

}  // namespace bnn
