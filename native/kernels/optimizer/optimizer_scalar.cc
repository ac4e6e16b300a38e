#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/optimizer/optimizer.inl.h"

namespace bnn {
extern const OptimizerRow optimizer_row_scalar;
const OptimizerRow optimizer_row_scalar = scalar::kRow;
}  // namespace bnn
