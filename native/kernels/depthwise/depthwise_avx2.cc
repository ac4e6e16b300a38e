#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/depthwise/depthwise.inl.h"

namespace bnn {
extern const DepthwiseRow depthwise_row_avx2;
const DepthwiseRow depthwise_row_avx2 = avx2::kRow;
}  // namespace bnn
