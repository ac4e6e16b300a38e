#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/depthwise/depthwise.inl.h"

namespace bnn {
extern const DepthwiseRow depthwise_row_avx512;
const DepthwiseRow depthwise_row_avx512 = avx512::kRow;
}  // namespace bnn
