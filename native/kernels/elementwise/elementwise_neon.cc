#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/elementwise/elementwise.inl.h"

namespace bnn {
extern const ElementwiseRow elementwise_row_neon;
const ElementwiseRow elementwise_row_neon = neon::kRow;
}  // namespace bnn
