#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/optimizer/optimizer.inl.h"

namespace bnn {
extern const OptimizerRow optimizer_row_avx2;
const OptimizerRow optimizer_row_avx2 = avx2::kRow;
}  // namespace bnn
