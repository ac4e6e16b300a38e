#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/batch_norm/batch_norm.inl.h"

namespace bnn {
extern const BatchNormRow batch_norm_row_avx2;
const BatchNormRow batch_norm_row_avx2 = avx2::kRow;
}  // namespace bnn
