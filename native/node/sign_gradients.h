// The surrogate gradients of sign that several methods take among their arguments.
#pragma once

#include "kernels/elementwise/elementwise.h"
#include "node/args.h"

namespace bnn_node {

// ReSTE of the arguments `index` (o), `index` + 1 (t) and `index` + 2 (m).
bnn::SignGradient reste_gradient(const Args& args, size_t index);

// The table of the arguments `index` (pairs) and `index` + 1 (limit).
bnn::SlopeTable slope_table(Args& args, size_t index);

}  // namespace bnn_node
