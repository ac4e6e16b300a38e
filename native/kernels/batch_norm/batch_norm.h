// Batch normalisation over the rows of a [rows][channels] matrix, with an optional scale and rectifier before it.
//
//   z = scale · x,  r = relu ? max(z, 0) : z,  y = gamma · (r − mean) / √(variance + epsilon) + beta
//
// Statistics are over rows, variance biased. All per-channel arguments are f32[channels]. `residual`, like x or null, is added to y.
#pragma once

#include "simd/isa.h"

#include <cstdint>

namespace bnn {

struct BatchNormShape {
  int64_t rows, channels;
  double epsilon;
  bool relu;
};

// Relative error of the variance below 1e-6: sums are taken about a shift close to the mean, in float over short blocks and in
// double over blocks.
void batch_norm_train(const BatchNormShape& shape, const float* x, const float* scale, const float* gamma, const float* beta,
                      const float* residual, float* y, float* mean, float* variance);
// The statistics alone.
void batch_norm_moments(const BatchNormShape& shape, const float* x, const float* scale, float* mean, float* variance);
void batch_norm_infer(const BatchNormShape& shape, const float* x, const float* scale, const float* gamma, const float* beta,
                      const float* mean, const float* variance, const float* residual, float* y);
// Gradients through the batch statistics; relu'(0) = 0. dscale[c] = Σ_rows dz · x, or null.
void batch_norm_grad(const BatchNormShape& shape, const float* x, const float* dy, const float* scale, const float* gamma,
                     const float* mean, const float* variance, float* dx, float* dgamma, float* dbeta, double* dscale);
// The same in two parts, for a batch of which these rows are a part: dgamma and dbeta of the rows, then dx of their means over all rows.
void batch_norm_grad_sums(const BatchNormShape& shape, const float* x, const float* dy, const float* scale, const float* mean,
                          const float* variance, float* dgamma, float* dbeta);
void batch_norm_grad_apply(const BatchNormShape& shape, const float* x, const float* dy, const float* scale, const float* gamma,
                           const float* mean, const float* variance, const float* mean_dgamma, const float* mean_dbeta, float* dx,
                           double* dscale);

// sums[c] = Σ_rows x[row][c].
void channel_sums(const float* x, int64_t rows, int64_t channels, double* sums);
// Σ x.
double total_sum(const float* x, int64_t count);

struct NormalizeArgs {
  const float *scale, *mean, *factor, *offset;
};
struct GradArgs {
  const float *scale, *mean, *a, *b, *d;  // dr = a · dy + b + d · (r − mean)
};
// Each works on `rows` consecutive rows; sums are added to double arrays.
struct BatchNormRow {
  void (*sums)(const float* x, int64_t rows, int64_t channels, double* sum);
  void (*statistics)(const float* x, int64_t rows, int64_t channels, const float* scale, const float* shift, bool relu, double* sum,
                     double* squares);
  void (*normalize)(const float* x, int64_t rows, int64_t channels, const NormalizeArgs& args, bool relu, const float* residual,
                    float* y);
  // sum += dy, products += dy · (r − mean)
  void (*grad_sums)(const float* x, const float* dy, int64_t rows, int64_t channels, const float* scale, const float* mean, bool relu,
                    double* sum, double* products);
  void (*grad)(const float* x, const float* dy, int64_t rows, int64_t channels, const GradArgs& args, bool relu, float* dx,
               double* dscale);
};
BNN_DECLARE_ROWS(BatchNormRow, batch_norm_row);

}  // namespace bnn
