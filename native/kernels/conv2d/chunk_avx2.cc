#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/conv2d/chunk.inl.h"

namespace bnn {
extern const ConvRow conv_row_avx2;
const ConvRow conv_row_avx2 = avx2::kRow;
}  // namespace bnn
