#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/elementwise/slope_table.inl.h"

namespace bnn {
extern const SlopeTableRow slope_table_row_scalar;
const SlopeTableRow slope_table_row_scalar = scalar::kSlopeTableRow;
}  // namespace bnn
