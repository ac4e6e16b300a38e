// The forward pass of a convolution of signs, on bits.
#pragma once

#include "kernels/conv2d/conv2d.h"

namespace bnn {

// y as binary_conv2d_forward computes it, by xor and popcount. False, with nothing written, where the filter has an element other
// than ±1, where sums are so short that floats are faster or so long that they might not fit one, or where the tiles do not know
// the grid of outputs.
bool bit_conv2d(const Conv2dShape& shape, const float* x, const float* filter, float* y);

}  // namespace bnn
