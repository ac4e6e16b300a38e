#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/batch_norm/batch_norm.inl.h"

namespace bnn {
extern const BatchNormRow batch_norm_row_neon;
const BatchNormRow batch_norm_row_neon = neon::kRow;
}  // namespace bnn
