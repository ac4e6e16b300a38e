#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/elementwise/elementwise.inl.h"

namespace bnn {
extern const ElementwiseRow elementwise_row_avx2;
const ElementwiseRow elementwise_row_avx2 = avx2::kRow;
}  // namespace bnn
