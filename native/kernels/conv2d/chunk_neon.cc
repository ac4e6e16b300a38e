#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/conv2d/chunk.inl.h"

namespace bnn {
extern const ConvRow conv_row_neon;
const ConvRow conv_row_neon = neon::kRow;
}  // namespace bnn
