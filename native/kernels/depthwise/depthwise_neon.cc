#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/depthwise/depthwise.inl.h"

namespace bnn {
extern const DepthwiseRow depthwise_row_neon;
const DepthwiseRow depthwise_row_neon = neon::kRow;
}  // namespace bnn
