#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/elementwise/slope_table.inl.h"

namespace bnn {
extern const SlopeTableRow slope_table_row_neon;
const SlopeTableRow slope_table_row_neon = neon::kSlopeTableRow;
}  // namespace bnn
