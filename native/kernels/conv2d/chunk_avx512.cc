#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/conv2d/chunk.inl.h"

namespace bnn {
extern const ConvRow conv_row_avx512;
const ConvRow conv_row_avx512 = avx512::kRow;
}  // namespace bnn
