#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/pooling/pooling.inl.h"

namespace bnn {
extern const PoolRow pool_row_avx2;
const PoolRow pool_row_avx2 = avx2::kRow;
}  // namespace bnn
