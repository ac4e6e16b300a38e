#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/elementwise/elementwise.inl.h"

namespace bnn {
extern const ElementwiseRow elementwise_row_avx512;
const ElementwiseRow elementwise_row_avx512 = avx512::kRow;
}  // namespace bnn
