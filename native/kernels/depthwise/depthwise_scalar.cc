#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/depthwise/depthwise.inl.h"

namespace bnn {
extern const DepthwiseRow depthwise_row_scalar;
const DepthwiseRow depthwise_row_scalar = scalar::kRow;
}  // namespace bnn
