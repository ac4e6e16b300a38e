#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/batch_norm/batch_norm.inl.h"

namespace bnn {
extern const BatchNormRow batch_norm_row_avx512;
const BatchNormRow batch_norm_row_avx512 = avx512::kRow;
}  // namespace bnn
