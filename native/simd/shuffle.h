// Elements of two vectors in another order.
#pragma once

#include "simd/vec.h"

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define BNN_SHUFFLE 1
#endif
#endif

namespace bnn {
namespace BNN_ISA {

#if defined(BNN_SHUFFLE)
#if BNN_VECTOR_FLOATS == 16
#define BNN_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define BNN_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define BNN_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define BNN_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif BNN_VECTOR_FLOATS == 8
#define BNN_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define BNN_ODD 1, 3, 5, 7, 9, 11, 13, 15
#define BNN_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define BNN_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define BNN_EVEN 0, 2, 4, 6
#define BNN_ODD 1, 3, 5, 7
#define BNN_LOW 0, 4, 1, 5
#define BNN_HIGH 2, 6, 3, 7
#endif

// a[0], a[2] … b[0], b[2] …, and the elements between them.
static inline V even_elements(V a, V b) { return __builtin_shufflevector(a, b, BNN_EVEN); }
static inline V odd_elements(V a, V b) { return __builtin_shufflevector(a, b, BNN_ODD); }
// a[0], b[0], a[1], b[1] …: the first half of both, and the second.
static inline V interleave_low(V a, V b) { return __builtin_shufflevector(a, b, BNN_LOW); }
static inline V interleave_high(V a, V b) { return __builtin_shufflevector(a, b, BNN_HIGH); }
#else
static inline V every_other(V a, V b, int first) {
  V y = zero();
  for (int i = 0; i < W / 2; i++) {
    y[i] = a[2 * i + first];
    y[W / 2 + i] = b[2 * i + first];
  }
  return y;
}
static inline V even_elements(V a, V b) { return every_other(a, b, 0); }
static inline V odd_elements(V a, V b) { return every_other(a, b, 1); }
static inline V interleave_from(V a, V b, int first) {
  V y = zero();
  for (int i = 0; i < W / 2; i++) {
    y[2 * i] = a[first + i];
    y[2 * i + 1] = b[first + i];
  }
  return y;
}
static inline V interleave_low(V a, V b) { return interleave_from(a, b, 0); }
static inline V interleave_high(V a, V b) { return interleave_from(a, b, W / 2); }
#endif

}  // namespace BNN_ISA
}  // namespace bnn
