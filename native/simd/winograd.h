// Winograd's minimal filtering for windows of 3 by tiles of 2, F(2×2, 3×3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks" (CVPR 2016): four outputs take 16 multiplications per channel instead of 36.
//
// A tile is 2×2 outputs and the 4×4 inputs d that they read. With
//
//        ⎡1  0 −1  0⎤        ⎡1   0   0⎤
//   Bᵀ = ⎢0  1  1  0⎥    G = ⎢½   ½   ½⎥    Aᵀ = ⎡1 1  1 0⎤
//        ⎢0 −1  1  0⎥        ⎢½  −½   ½⎥         ⎣0 1 −1 1⎦
//        ⎣0 −1  0  1⎦        ⎣0   0   1⎦
//
// y = Aᵀ((G g Gᵀ) ⊙ (Bᵀ d B)) A, and ∂L/∂g = Gᵀ((Bᵀ d B) ⊙ (A dy Aᵀ)) G. The products, summed over channels (or, for the gradient,
// over tiles), are 16 matrix products. Sums of ±1 products stay exact: everything is a multiple of ¼ below 2^22. Larger tiles would save
// more, but their matrices hold thirds, and rounding grows tenfold.
//
// Here is one side of each product; applied to rows and then to columns, both.
#pragma once

#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace winograd {

// Bᵀ d.
static inline void input(V d0, V d1, V d2, V d3, V (&t)[4]) {
  t[0] = d0 - d2;
  t[1] = d1 + d2;
  t[2] = d2 - d1;
  t[3] = d3 - d1;
}

// Aᵀ m.
static inline void output(V m0, V m1, V m2, V m3, V (&y)[2]) {
  y[0] = m0 + (m1 + m2);
  y[1] = (m1 - m2) + m3;
}

// A dy.
static inline void output_grad(V a, V b, V (&t)[4]) {
  t[0] = a;
  t[1] = a + b;
  t[2] = a - b;
  t[3] = b;
}

// G g.
static inline void filter(V g0, V g1, V g2, V (&u)[4]) {
  const V outer = g0 + g2, half = splat(0.5f);
  u[0] = g0;
  u[1] = half * (outer + g1);
  u[2] = half * (outer - g1);
  u[3] = g2;
}

// Gᵀ m.
static inline void filter_grad(V m0, V m1, V m2, V m3, V (&g)[3]) {
  const V half = splat(0.5f), mean = half * (m1 + m2);
  g[0] = m0 + mean;
  g[1] = half * (m1 - m2);
  g[2] = mean + m3;
}

}  // namespace winograd
}  // namespace BNN_ISA
}  // namespace bnn
