#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/optimizer/optimizer.inl.h"

namespace bnn {
extern const OptimizerRow optimizer_row_avx512;
const OptimizerRow optimizer_row_avx512 = avx512::kRow;
}  // namespace bnn
