#pragma once

#include "kernels/elementwise/slope_table.h"
#include "node/args.h"

namespace bnn_node {

// The table of the arguments `index` (pairs) and `index` + 1 (limit).
bnn::SlopeTable slope_table(const Args& args, size_t index);

}  // namespace bnn_node
