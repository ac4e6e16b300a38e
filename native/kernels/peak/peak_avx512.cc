#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/peak/peak.inl.h"

namespace bnn {
extern const PeakRow peak_row_avx512;
const PeakRow peak_row_avx512 = avx512::kRow;
}  // namespace bnn
