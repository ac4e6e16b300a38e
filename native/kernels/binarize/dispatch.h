#pragma once

#include "kernels/binarize/binarize.h"

namespace bnn {

// The row that goes with binary_tile_row().
const BinarizeRow& binarize_row();

}  // namespace bnn
