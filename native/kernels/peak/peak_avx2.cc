#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/peak/peak.inl.h"

namespace bnn {
extern const PeakRow peak_row_avx2;
const PeakRow peak_row_avx2 = avx2::kRow;
}  // namespace bnn
