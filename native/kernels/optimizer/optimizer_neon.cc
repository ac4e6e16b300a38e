#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/optimizer/optimizer.inl.h"

namespace bnn {
extern const OptimizerRow optimizer_row_neon;
const OptimizerRow optimizer_row_neon = neon::kRow;
}  // namespace bnn
