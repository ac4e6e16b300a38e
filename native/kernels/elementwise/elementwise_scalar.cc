#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/elementwise/elementwise.inl.h"

namespace bnn {
extern const ElementwiseRow elementwise_row_scalar;
const ElementwiseRow elementwise_row_scalar = scalar::kRow;
}  // namespace bnn
