#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/elementwise/slope_table.inl.h"

namespace bnn {
extern const SlopeTableRow slope_table_row_avx2;
const SlopeTableRow slope_table_row_avx2 = avx2::kSlopeTableRow;
}  // namespace bnn
