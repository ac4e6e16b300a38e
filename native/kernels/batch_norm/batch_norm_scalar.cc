#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/batch_norm/batch_norm.inl.h"

namespace bnn {
extern const BatchNormRow batch_norm_row_scalar;
const BatchNormRow batch_norm_row_scalar = scalar::kRow;
}  // namespace bnn
