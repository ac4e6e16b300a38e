#include "kernels/batch_norm/batch_norm.h"

#include "threading/thread_pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bnn {
namespace {

constexpr int64_t kGrainElements = 16384;
// Rows handed to a kernel at once: it walks them once per group of channels, so they should stay in the first-level cache.
constexpr int64_t kBlockElements = 4096;
constexpr int64_t kShiftRows = 64;

const BatchNormRow& batch_norm_row() {
  static constexpr KernelRow<BatchNormRow> table[] = BNN_ROWS(batch_norm_row);
  return active_row(table);
}

int64_t grain_of(int64_t channels) { return 1 + kGrainElements / channels; }
int64_t block_of(int64_t channels) { return std::max<int64_t>(64, kBlockElements / channels / 64 * 64); }

// Runs body(piece, first row, rows) over blocks of rows.
template <typename Body>
void for_blocks(int64_t rows, int64_t channels, int pieces, Body&& body) {
  const int64_t block = block_of(channels);
  parallel_pieces(rows, pieces, [&](int, int piece, int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += block) body(piece, at, std::min(block, end - at));
  });
}

int pieces_of(int64_t rows, int64_t channels) { return piece_count(rows, grain_of(channels), max_pieces()); }

// Two double sums per channel and piece, added up in order: total[0 .. channels) and total[channels .. 2·channels).
template <typename Body>
void sum_blocks(int64_t rows, int64_t channels, double* total, Body&& body) {
  const int pieces = pieces_of(rows, channels);
  double* parts = scratch<double>(0, Slot::kStatistics, pieces * 2 * channels);
  std::fill(parts, parts + pieces * 2 * channels, 0.0);
  for_blocks(rows, channels, pieces, [&](int piece, int64_t at, int64_t count) {
    double* mine = parts + piece * 2 * channels;
    body(at, count, mine, mine + channels);
  });
  for (int64_t i = 0; i < 2 * channels; i++) {
    total[i] = 0.0;
    for (int p = 0; p < pieces; p++) total[i] += parts[p * 2 * channels + i];
  }
}

// A value near the mean of each channel: the average of rows spread over the whole batch.
void estimate_mean(const BatchNormShape& s, const float* x, const float* scale, float* shift) {
  const int64_t samples = std::min(kShiftRows, s.rows);
  for (int64_t c = 0; c < s.channels; c++) shift[c] = 0.0f;
  for (int64_t i = 0; i < samples; i++) {
    const float* row = x + (s.rows * i / samples) * s.channels;
    for (int64_t c = 0; c < s.channels; c++) {
      const float z = scale[c] * row[c];
      shift[c] += s.relu && z <= 0.0f ? 0.0f : z;
    }
  }
  for (int64_t c = 0; c < s.channels; c++) shift[c] /= static_cast<float>(samples);
}

}  // namespace

void batch_norm_moments(const BatchNormShape& s, const float* x, const float* scale, float* mean, float* variance) {
  const BatchNormRow& row = batch_norm_row();
  const int64_t c = s.channels;
  float* shift = scratch<float>(0, Slot::kExtra, c);
  double* sums = scratch<double>(0, Slot::kTable, 2 * c);
  estimate_mean(s, x, scale, shift);
  sum_blocks(s.rows, c, sums, [&](int64_t at, int64_t count, double* sum, double* squares) {
    row.statistics(x + at * c, count, c, scale, shift, s.relu, sum, squares);
  });
  const double n = static_cast<double>(s.rows);
  for (int64_t i = 0; i < c; i++) {
    const double offset = sums[i] / n;
    const double spread = sums[c + i] / n - offset * offset;
    mean[i] = static_cast<float>(static_cast<double>(shift[i]) + offset);
    variance[i] = static_cast<float>(spread < 0.0 ? 0.0 : spread);
  }
}

void batch_norm_train(const BatchNormShape& s, const float* x, const float* scale, const float* gamma, const float* beta,
                      const float* residual, float* y, float* mean, float* variance) {
  batch_norm_moments(s, x, scale, mean, variance);
  batch_norm_infer(s, x, scale, gamma, beta, mean, variance, residual, y);
}

void batch_norm_infer(const BatchNormShape& s, const float* x, const float* scale, const float* gamma, const float* beta,
                      const float* mean, const float* variance, const float* residual, float* y) {
  const BatchNormRow& row = batch_norm_row();
  const int64_t c = s.channels;
  float* factor = scratch<float>(0, Slot::kExtra, c);
  for (int64_t i = 0; i < c; i++) factor[i] = static_cast<float>(gamma[i] / std::sqrt(static_cast<double>(variance[i]) + s.epsilon));
  const NormalizeArgs args{scale, mean, factor, beta};
  for_blocks(s.rows, c, pieces_of(s.rows, c), [&](int, int64_t at, int64_t count) {
    const float* added = residual != nullptr ? residual + at * c : nullptr;
    row.normalize(x + at * c, count, c, args, s.relu, added, y + at * c);
  });
}

namespace {

// sums[0 .. channels) = Σdy, then Σdy·(r − mean); in the scratch memory of tables.
double* sum_grads(const BatchNormShape& s, const float* x, const float* dy, const float* scale, const float* mean) {
  const BatchNormRow& row = batch_norm_row();
  const int64_t c = s.channels;
  double* sums = scratch<double>(0, Slot::kTable, 2 * c);
  sum_blocks(s.rows, c, sums, [&](int64_t at, int64_t count, double* sum, double* products) {
    row.grad_sums(x + at * c, dy + at * c, count, c, scale, mean, s.relu, sum, products);
  });
  return sums;
}

// The coefficients of dr = a·dy + b + d·(r − mean), of c channels each, become dx and dscale.
void apply_grads(const BatchNormShape& s, const float* x, const float* dy, const float* scale, const float* mean,
                 const float* coefficients, float* dx, double* dscale) {
  const BatchNormRow& row = batch_norm_row();
  const int64_t c = s.channels;
  const GradArgs args{scale, mean, coefficients, coefficients + c, coefficients + 2 * c};
  if (dscale == nullptr) {
    for_blocks(s.rows, c, pieces_of(s.rows, c), [&](int, int64_t at, int64_t count) {
      row.grad(x + at * c, dy + at * c, count, c, args, s.relu, dx + at * c, nullptr);
    });
    return;
  }
  double* sums = scratch<double>(0, Slot::kTable, 2 * c);
  sum_blocks(s.rows, c, sums, [&](int64_t at, int64_t count, double* sum, double*) {
    row.grad(x + at * c, dy + at * c, count, c, args, s.relu, dx + at * c, sum);
  });
  std::copy(sums, sums + c, dscale);
}

double inverse_deviation(const BatchNormShape& s, float variance) {
  return 1.0 / std::sqrt(static_cast<double>(variance) + s.epsilon);
}

}  // namespace

void batch_norm_grad(const BatchNormShape& s, const float* x, const float* dy, const float* scale, const float* gamma,
                     const float* mean, const float* variance, float* dx, float* dgamma, float* dbeta, double* dscale) {
  const int64_t c = s.channels;
  const double* sums = sum_grads(s, x, dy, scale, mean);
  float* coefficients = scratch<float>(0, Slot::kExtra, 3 * c);
  // dr = γ/σ · (dy − Σdy/n − x̂ · Σ(dy·x̂)/n) with x̂ = (r − mean)/σ.
  const double n = static_cast<double>(s.rows);
  for (int64_t i = 0; i < c; i++) {
    const double inverse = inverse_deviation(s, variance[i]);
    const double a = gamma[i] * inverse;
    dbeta[i] = static_cast<float>(sums[i]);
    dgamma[i] = static_cast<float>(sums[c + i] * inverse);
    coefficients[i] = static_cast<float>(a);
    coefficients[c + i] = static_cast<float>(-a * sums[i] / n);
    coefficients[2 * c + i] = static_cast<float>(-a * inverse * inverse * sums[c + i] / n);
  }
  apply_grads(s, x, dy, scale, mean, coefficients, dx, dscale);
}

void batch_norm_grad_sums(const BatchNormShape& s, const float* x, const float* dy, const float* scale, const float* mean,
                          const float* variance, float* dgamma, float* dbeta) {
  const int64_t c = s.channels;
  const double* sums = sum_grads(s, x, dy, scale, mean);
  for (int64_t i = 0; i < c; i++) {
    dbeta[i] = static_cast<float>(sums[i]);
    dgamma[i] = static_cast<float>(sums[c + i] * inverse_deviation(s, variance[i]));
  }
}

void batch_norm_grad_apply(const BatchNormShape& s, const float* x, const float* dy, const float* scale, const float* gamma,
                           const float* mean, const float* variance, const float* mean_dgamma, const float* mean_dbeta, float* dx,
                           double* dscale) {
  const int64_t c = s.channels;
  float* coefficients = scratch<float>(0, Slot::kExtra, 3 * c);
  for (int64_t i = 0; i < c; i++) {
    const double inverse = inverse_deviation(s, variance[i]);
    const double a = gamma[i] * inverse;
    coefficients[i] = static_cast<float>(a);
    coefficients[c + i] = static_cast<float>(-a * mean_dbeta[i]);
    coefficients[2 * c + i] = static_cast<float>(-a * inverse * mean_dgamma[i]);
  }
  apply_grads(s, x, dy, scale, mean, coefficients, dx, dscale);
}

void channel_sums(const float* x, int64_t rows, int64_t channels, double* sums) {
  const BatchNormRow& row = batch_norm_row();
  double* total = scratch<double>(0, Slot::kTable, 2 * channels);
  sum_blocks(rows, channels, total,
             [&](int64_t at, int64_t count, double* sum, double*) { row.sums(x + at * channels, count, channels, sum); });
  std::copy(total, total + channels, sums);
}

double total_sum(const float* x, int64_t count) {
  constexpr int64_t kColumns = 64;
  double sum = 0.0;
  const int64_t rows = count / kColumns;
  if (rows > 0) {
    double columns[kColumns];
    channel_sums(x, rows, kColumns, columns);
    for (double value : columns) sum += value;
  }
  for (int64_t i = rows * kColumns; i < count; i++) sum += static_cast<double>(x[i]);
  return sum;
}

}  // namespace bnn
