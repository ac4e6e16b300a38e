// Drivers: describe the windows, pack the weights, divide the rows among threads and run an instruction-set row on each chunk.
//
// The input gradient is a convolution too. With stride s, input row i of residue a = i mod s receives dy[(i + pad − r·d) / s] from
// exactly the taps r where that division is exact, so each of the s² residues is a stride-1 convolution of dy over a subset of
// taps that writes every s-th pixel. Stride 1 is the case of one residue.
#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/bf16.h"
#include "kernels/conv2d/bit_conv2d.h"
#include "kernels/conv2d/panel.h"
#include "kernels/conv2d/windows.h"
#include "kernels/conv2d/winograd.h"
#include "kernels/depthwise/depthwise.h"
#include "threading/thread_pool.h"

#include <algorithm>
#include <cstring>

namespace bnn {

const ConvRow& conv_row() {
  static constexpr KernelRow<ConvRow> table[] = BNN_ROWS(conv_row);
  return active_row(table);
}

namespace {

// Padded input per chunk: with a column block of weights it should stay in the second-level cache.
constexpr int64_t kForwardChunkBytes = 192 << 10;
// The weights pass through the second-level cache once per chunk; where they are large, chunks must be too.
constexpr int64_t kLargePanelBytes = 1 << 20;
constexpr int64_t kLargeForwardChunkBytes = 512 << 10;
// Filter gradient: input and dy are read once per register tile, so they should stay in the first-level cache, but a chunk needs
// enough pixels to pay for loading and storing the sums of each tile.
constexpr int64_t kGradChunkBytes = 40 << 10;
constexpr int64_t kGradChunkPixels = 96;
// Where the sums are in memory rather than in a cache, every pass over them must pay for more.
constexpr int64_t kLargeGradChunkPixels = 512;
// Floats of filter-gradient sums that a second-level cache holds beside the rest.
constexpr int64_t kSmallSums = 64 << 10;
int64_t grain_rows(const Windows& w, int64_t columns) {
  return std::max<int64_t>(1, kGrainWork / std::max<int64_t>(1, w.grid_width * w.depth * columns));
}

const RowsDone kNothing{[](const void*, const ChunkRow*, int64_t) {}, nullptr, nullptr};

// `columns` for each of the groups, whose inputs and outputs lie side by side; `done` sees each chunk of finished rows of a group.
void run_forward(const Windows& w, const float* x, const FilterView& filter, int64_t groups, int64_t columns, const OutputGrid& out,
                 int64_t out_pixel_stride, const RowsDone& done = kNothing) {
  if (groups == 1 && suits_winograd(w, columns)) return winograd_forward(w, x, filter, columns, out, out_pixel_stride, done);
  const bool is_paired = w.form == Form::kChannelPairs;
  const ConvRow& row = is_paired ? bf16_row()->products : conv_row();
  float* weights = pack_panel(w, filter, groups, columns, row);
  if (w.form == Form::kRounded) round_to_bf16(weights, w.depth * round_up(columns, row.vector));
  const float* panel = is_paired ? pair_panels(weights, 1, w.weights(), columns, row) : weights;
  const int64_t panel_floats = w.depth * round_up(columns, row.vector);
  const bool is_large = w.depth * columns * static_cast<int64_t>(sizeof(float)) > kLargePanelBytes;
  const int64_t chunk_bytes = is_large ? kLargeForwardChunkBytes : kForwardChunkBytes;
  const int64_t chunk_rows = std::clamp<int64_t>(chunk_bytes / std::max<int64_t>(1, w.row_bytes()), 1, w.row_total());
  parallel_for(w.row_total(), grain_rows(w, groups * columns), [&](int thread, int64_t begin, int64_t end) {
    float* padded = scratch<float>(thread, Slot::kRows, padded_floats(w, chunk_rows));
    ChunkRow* rows = scratch<ChunkRow>(thread, Slot::kTable, chunk_rows);
    for (int64_t at = begin; at < end; at += chunk_rows) {
      const int64_t count = std::min(chunk_rows, end - at);
      for (int64_t g = 0; g < groups; g++) {
        const OutputGrid group_out{out.data + g * columns, out.image_stride, out.row_stride};
        describe_rows(w, x + g * w.channels, group_out, at, at + count, padded, rows);
        row.forward({rows, count, w.step_width * w.words(), out_pixel_stride, w.segments.data(),
                     static_cast<int64_t>(w.segments.size()), w.depth, panel + g * panel_floats, columns});
        done.call(done.context, rows, count);
      }
    }
  });
}

Windows forward_windows(const Conv2dShape& s, bool binarize = false, Form form = Form::kFloats) {
  Windows w{};
  w.form = form;
  w.binarize = binarize;
  w.batch = s.batch;
  w.in_height = s.in_height;
  w.in_width = s.in_width;
  w.channels = s.in_channels / s.groups;
  w.pixel_floats = s.in_channels;
  w.grid_height = s.out_height;
  w.grid_width = s.out_width;
  w.step_height = s.stride_height;
  w.step_width = s.stride_width;
  w.dense_output = true;
  w.origin_height = -s.pad_top;
  w.origin_width = -s.pad_left;
  for (int64_t r = 0; r < s.kernel_height; r++) {
    for (int64_t c = 0; c < s.kernel_width; c++) {
      w.taps.push_back({r * s.dilation_height, c * s.dilation_width, r * s.kernel_width + c});
    }
  }
  w.prepare();
  return w;
}

// Strides of grid rows in an output of `height` × `width` pixels; a flattened grid is one image of long rows.
OutputGrid whole_grid(const Windows& w, float* data, int64_t channels) {
  return {data, w.grid_height * w.grid_width * channels, w.grid_width * channels};
}

void forward_of(const Conv2dShape& s, const Windows& w, const float* x, const float* filter, float* y) {
  const int64_t columns = s.out_channels / s.groups;
  const FilterView view{filter, s.in_channels / s.groups * s.out_channels, s.out_channels, 1, columns};
  run_forward(w, x, view, s.groups, columns, whole_grid(w, y, s.out_channels), s.out_channels);
}

// epilogue(out, count) sees every finished run of floats; `reads` as in RowsDone. With strides, pixels are finished one apart: then it sees all once all are there.
template <typename Epilogue>
void input_grad_of(const Conv2dShape& s, const float* dy, const float* filter, float* dx, const Epilogue& epilogue,
                   const float* reads) {
  const int64_t c = s.in_channels;
  for (int64_t a = 0; a < std::min(s.stride_height, s.in_height); a++) {
    for (int64_t b = 0; b < std::min(s.stride_width, s.in_width); b++) {
      Windows w{};
      w.batch = s.batch;
      w.in_height = s.out_height;
      w.in_width = s.out_width;
      w.channels = s.out_channels / s.groups;
      if (s.groups == 1) w.form = form_of(s.precision, w.channels, true);
      w.pixel_floats = s.out_channels;
      w.grid_height = (s.in_height - a + s.stride_height - 1) / s.stride_height;
      w.grid_width = (s.in_width - b + s.stride_width - 1) / s.stride_width;
      w.step_height = w.step_width = 1;
      w.dense_output = s.stride_height == 1 && s.stride_width == 1;
      for (int64_t r = 0; r < s.kernel_height; r++) {
        const int64_t y = a + s.pad_top - r * s.dilation_height;
        if (y % s.stride_height != 0) continue;
        for (int64_t q = 0; q < s.kernel_width; q++) {
          const int64_t x = b + s.pad_left - q * s.dilation_width;
          if (x % s.stride_width != 0) continue;
          w.taps.push_back({y / s.stride_height, x / s.stride_width, r * s.kernel_width + q});
        }
      }
      w.prepare();
      OutputGrid out{dx + (a * s.in_width + b) * c, s.in_height * s.in_width * c, s.stride_height * s.in_width * c};
      if (w.dense_output) out = whole_grid(w, dx, c);
      const int64_t columns = c / s.groups;
      const FilterView view{filter, columns * s.out_channels, 1, s.out_channels, w.channels};
      const auto finish = [&](const ChunkRow* rows, int64_t count) {
        for (int64_t r = 0; r < count; r++) epilogue(rows[r].out, rows[r].width * c);
      };
      run_forward(w, dy, view, s.groups, columns, out, s.stride_width * c, w.dense_output ? rows_done(finish, reads) : kNothing);
    }
  }
  if (s.stride_height == 1 && s.stride_width == 1) return;
  const int64_t row_floats = s.in_width * c;
  parallel_for(s.batch * s.in_height, std::max<int64_t>(1, kGrainWork / row_floats),
               [&](int, int64_t begin, int64_t end) { epilogue(dx + begin * row_floats, (end - begin) * row_floats); });
}

// Copies the first `used` of every pixel's `stride` floats to `wide`, with zeros up to `columns`; the rows' outputs are there then.
void widen_rows(ChunkRow* rows, int64_t count, int64_t used, int64_t stride, int64_t columns, float* wide) {
  for (int64_t r = 0; r < count; r++) {
    const float* from = rows[r].out;
    rows[r].out = wide;
    for (int64_t i = 0; i < rows[r].width; i++) {
      std::memcpy(wide, from, static_cast<size_t>(used) * sizeof(float));
      std::memset(wide + used, 0, static_cast<size_t>(columns - used) * sizeof(float));
      from += stride;
      wide += columns;
    }
  }
}

// Two pixels of dy become one of pairs, 0 beside the last of an odd number, and rows of `wide` the rows' outputs.
void pair_rows(ChunkRow* rows, int64_t count, int64_t used, int64_t columns, float* wide) {
  float* none = wide;
  wide += used;
  std::memset(none, 0, static_cast<size_t>(used) * sizeof(float));
  for (int64_t r = 0; r < count; r++) {
    const float* from = rows[r].out;
    const int64_t width = rows[r].width;
    rows[r] = {rows[r].window, wide, (width + 1) / 2};
    for (int64_t i = 0; i < width; i += 2) {
      bf16_row()->pair(from, i + 1 < width ? from + used : none, used, wide);
      std::memset(wide + used, 0, static_cast<size_t>(columns - used) * sizeof(float));
      from += 2 * used;
      wide += columns;
    }
  }
}

void filter_grad_of(const Conv2dShape& s, bool binarize, const float* x, const float* dy, float* dfilter) {
  const Form form = s.groups == 1 ? form_of(s.precision, s.in_channels, false) : Form::kFloats;
  const Windows w = forward_windows(s, binarize, form);
  if (s.groups == 1 && suits_winograd(w, s.out_channels)) return winograd_filter_grad(w, x, dy, s.out_channels, dfilter);
  const bool is_paired = form == Form::kPixelPairs;
  const ConvRow& row = is_paired ? bf16_row()->products : conv_row();
  const int64_t outputs = s.out_channels / s.groups;
  const int64_t columns = round_up(outputs, row.vector);
  const bool copy_columns = columns != outputs || form != Form::kFloats;
  const int64_t group_sums = w.depth * columns;
  const int64_t sums_count = s.groups * group_sums;
  const int64_t pair_bytes = w.row_bytes() + w.grid_width * s.groups * columns * static_cast<int64_t>(sizeof(float));
  const int64_t pixels = sums_count <= kSmallSums ? kGradChunkPixels : kLargeGradChunkPixels;
  const int64_t chunk_rows = std::clamp<int64_t>(
      std::max(kGradChunkBytes / std::max<int64_t>(1, pair_bytes), (pixels + w.grid_width - 1) / w.grid_width), 1, w.row_total());
  const int64_t grain = grain_rows(w, s.groups * columns);
  // Sums per piece: few pieces where they are large, because each is cleared, kept in a cache and added up.
  const int limit = sums_count <= kSmallSums ? max_pieces() : thread_count();
  const int pieces = piece_count(w.row_total(), grain, limit);
  float* parts = scratch<float>(0, Slot::kGrad, pieces * sums_count);
  parallel_pieces(w.row_total(), pieces, [&](int thread, int piece, int64_t begin, int64_t end) {
    float* sums = parts + piece * sums_count;
    std::memset(sums, 0, static_cast<size_t>(sums_count) * sizeof(float));
    float* padded = scratch<float>(thread, Slot::kRows, padded_floats(w, chunk_rows));
    ChunkRow* rows = scratch<ChunkRow>(thread, Slot::kTable, chunk_rows);
    float* wide = copy_columns ? scratch<float>(thread, Slot::kExtra, outputs + chunk_rows * w.grid_width * columns) : nullptr;
    float* packed = scratch<float>(thread, Slot::kPanel, chunk_rows * w.grid_width * 2 * row.vector);
    for (int64_t at = begin; at < end; at += chunk_rows) {
      const int64_t count = std::min(chunk_rows, end - at);
      for (int64_t g = 0; g < s.groups; g++) {
        const OutputGrid grid = whole_grid(w, const_cast<float*>(dy) + g * outputs, s.out_channels);
        describe_rows(w, x + g * w.channels, grid, at, at + count, padded, rows);
        if (is_paired) {
          pair_rows(rows, count, outputs, columns, wide);
        } else if (copy_columns) {
          widen_rows(rows, count, outputs, s.out_channels, columns, wide);
          if (form == Form::kRounded) round_to_bf16(wide, count * w.grid_width * columns);
        }
        row.filter_grad({rows, count, (is_paired ? 2 : 1) * w.step_width * w.channels, copy_columns ? columns : s.out_channels,
                         w.segments.data(), static_cast<int64_t>(w.segments.size()), sums + g * group_sums, columns, packed});
      }
    }
  });
  parallel_for(w.depth, std::max<int64_t>(1, kGrainWork / (s.groups * columns)), [&](int, int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++) {
      for (int64_t j = 0; j < s.out_channels; j++) {
        const float* part = parts + j / outputs * group_sums + k * columns + j % outputs;
        float sum = part[0];
        for (int p = 1; p < pieces; p++) sum += part[p * sums_count];
        dfilter[k * s.out_channels + j] = sum;
      }
    }
  });
}

}  // namespace

// Each input channel has outputs of its own: no window is shared, so there is nothing to multiply as a matrix.
static bool is_depthwise(const Conv2dShape& s) { return s.groups == s.in_channels && s.groups > 1; }

void conv2d_forward(const Conv2dShape& s, const float* x, const float* filter, float* y) {
  if (is_depthwise(s)) return depthwise_forward(s, x, filter, y);
  const Form form = s.groups == 1 ? form_of(s.precision, s.in_channels, true) : Form::kFloats;
  forward_of(s, forward_windows(s, false, form), x, filter, y);
}

void binary_conv2d_forward(const Conv2dShape& s, const float* x, const float* filter, float* y) {
  if (!bit_conv2d(s, x, filter, y)) forward_of(s, forward_windows(s, true), x, filter, y);
}

void conv2d_input_grad(const Conv2dShape& s, const float* dy, const float* filter, float* dx) {
  if (is_depthwise(s)) return depthwise_input_grad(s, dy, filter, dx);
  input_grad_of(
      s, dy, filter, dx, [](float*, int64_t) {}, nullptr);
}

void binary_conv2d_input_grad(const Conv2dShape& s, const float* dy, const float* filter, const float* x, const SignGradient& gradient,
                              const float* sum, float* dx) {
  const auto finish = [&](float* out, int64_t count) {
    const int64_t at = out - dx;
    gradient.apply(x + at, out, out, count);
    if (sum != nullptr) elementwise_row().binary(BinaryOp::kAdd, sum + at, Operand::kFull, out, Operand::kFull, out, 1, count);
  };
  input_grad_of(s, dy, filter, dx, finish, x);
}

void conv2d_filter_grad(const Conv2dShape& s, const float* x, const float* dy, float* dfilter) {
  if (is_depthwise(s)) return depthwise_filter_grad(s, x, dy, dfilter);
  filter_grad_of(s, false, x, dy, dfilter);
}

void binary_conv2d_filter_grad(const Conv2dShape& s, const float* x, const float* dy, float* dfilter) {
  filter_grad_of(s, true, x, dy, dfilter);
}

void matmul(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b, const float* a, const float* b, float* c) {
  if (transpose_a && !transpose_b) {
    // Σ over rows of A and B: the filter gradient of a 1×1 convolution.
    conv2d_filter_grad({1, 1, k, m, 1, 1, n, 1, k, 1, 1, 1, 1, 0, 0}, a, b, c);
    return;
  }
  const Conv2dShape shape{1, 1, m, k, 1, 1, n, 1, m, 1, 1, 1, 1, 0, 0};
  const Windows w = forward_windows(shape);
  const FilterView view = transpose_b ? FilterView{b, k * n, 1, k} : FilterView{b, k * n, n, 1};
  if (transpose_a) {
    float* rows = scratch<float>(0, Slot::kExtra, m * k);
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < k; j++) rows[i * k + j] = a[j * m + i];
    }
    a = rows;
  }
  run_forward(w, a, view, 1, n, whole_grid(w, c, n), n);
}

}  // namespace bnn
