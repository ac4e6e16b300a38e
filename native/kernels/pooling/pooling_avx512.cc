#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/pooling/pooling.inl.h"

namespace bnn {
extern const PoolRow pool_row_avx512;
const PoolRow pool_row_avx512 = avx512::kRow;
}  // namespace bnn
