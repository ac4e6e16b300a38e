#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/pooling/pooling.inl.h"

namespace bnn {
extern const PoolRow pool_row_scalar;
const PoolRow pool_row_scalar = scalar::kRow;
}  // namespace bnn
