#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/elementwise/slope_table.inl.h"

namespace bnn {
extern const SlopeTableRow slope_table_row_avx512;
const SlopeTableRow slope_table_row_avx512 = avx512::kSlopeTableRow;
}  // namespace bnn
