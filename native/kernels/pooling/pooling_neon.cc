#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/pooling/pooling.inl.h"

namespace bnn {
extern const PoolRow pool_row_neon;
const PoolRow pool_row_neon = neon::kRow;
}  // namespace bnn
