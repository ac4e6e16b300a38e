#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/conv2d/chunk.inl.h"

namespace bnn {
extern const ConvRow conv_row_scalar;
const ConvRow conv_row_scalar = scalar::kRow;
}  // namespace bnn
