// Along each axis, outputs fall into spans: positions that read the same taps, each a step further. In the middle of an image all
// taps are read; a border is a span of its own with fewer. The input gradient with stride s has s interleaved sets of spans, one per
// residue of the position, each with the taps that reach it. So forward pass and input gradient are the same loop over spans.
#include "kernels/depthwise/depthwise.h"

#include "threading/thread_pool.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace bnn {
namespace {

// Products worth a piece of work.
constexpr int64_t kGrainWork = 50000;
// x and dy of a chunk of the filter gradient: read once per block of channels, so they should stay in a first-level cache.
constexpr int64_t kChunkBytes = 40 << 10;

const DepthwiseRow& depthwise_row() {
  static constexpr KernelRow<DepthwiseRow> table[] = BNN_ROWS(depthwise_row);
  return active_row(table);
}

struct AxisTap {
  int64_t kernel;  // position in the window
  int64_t input;   // where the first position of the span reads
};

// Positions first, first + step, …; the step is the axis's.
struct Span {
  int64_t first, count;
  std::vector<AxisTap> taps;
};

// An axis of the convolution, in either direction.
struct Axis {
  int64_t in, out;  // positions that are read, positions that are computed
  int64_t in_step, out_step;
  std::vector<Span> spans;
};

// `input_of(position, tap)` is where an output position reads a tap; negative or too large where it does not.
template <typename InputOf>
Axis plan_axis(int64_t in, int64_t out, int64_t kernel, int64_t in_step, int64_t out_step, const InputOf& input_of) {
  Axis axis{in, out, in_step, out_step, {}};
  for (int64_t residue = 0; residue < std::min(out_step, out); residue++) {
    bool is_first = true;
    for (int64_t at = residue; at < out; at += out_step) {
      std::vector<AxisTap> taps;
      for (int64_t k = 0; k < kernel; k++) {
        const int64_t input = input_of(at, k);
        if (input >= 0 && input < in) taps.push_back({k, input});
      }
      const auto continues = [&](const Span& span) {
        if (span.taps.size() != taps.size()) return false;
        for (size_t t = 0; t < taps.size(); t++) {
          if (span.taps[t].kernel != taps[t].kernel) return false;
        }
        return true;
      };
      if (!is_first && continues(axis.spans.back())) {
        axis.spans.back().count++;
      } else {
        axis.spans.push_back({at, 1, std::move(taps)});
      }
      is_first = false;
    }
  }
  return axis;
}

Axis forward_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  return plan_axis(in, out, kernel, stride, 1, [=](int64_t at, int64_t k) { return at * stride + k * dilation - pad; });
}

// Reads dy and computes dx.
Axis backward_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  return plan_axis(out, in, kernel, 1, stride, [=](int64_t at, int64_t k) {
    const int64_t position = at + pad - k * dilation;
    return position % stride == 0 ? position / stride : int64_t{-1};
  });
}

// Both axes, for images of `channels` channels.
struct Plan {
  Axis y, x;
  int64_t channels;
  std::vector<int64_t> span_of_row;
  std::vector<std::vector<DepthwiseTap>> taps;  // of the pair (span of y, span of x)

  Plan(Axis rows, Axis columns, int64_t kernel_width, int64_t depth)
      : y(std::move(rows)), x(std::move(columns)), channels(depth), span_of_row(static_cast<size_t>(y.out)) {
    for (size_t a = 0; a < y.spans.size(); a++) {
      for (int64_t i = 0; i < y.spans[a].count; i++) {
        span_of_row[static_cast<size_t>(y.spans[a].first + i * y.out_step)] = static_cast<int64_t>(a);
      }
      for (const Span& columns_span : x.spans) {
        taps.emplace_back();
        for (const AxisTap& r : y.spans[a].taps) {
          for (const AxisTap& s : columns_span.taps) {
            taps.back().push_back({(r.input * x.in + s.input) * channels, (r.kernel * kernel_width + s.kernel) * channels});
          }
        }
      }
    }
  }
  const std::vector<DepthwiseTap>& taps_of(size_t a, size_t b) const { return taps[a * x.spans.size() + b]; }
  // From the beginning of an image to what the taps of an output row are relative to.
  int64_t row_offset(int64_t row) const {
    const Span& span = y.spans[static_cast<size_t>(span_of_row[static_cast<size_t>(row)])];
    return (row - span.first) / y.out_step * y.in_step * x.in * channels;
  }
  int64_t in_floats() const { return y.in * x.in * channels; }
  int64_t out_floats() const { return y.out * x.out * channels; }
};

Plan forward_plan(const Conv2dShape& s) {
  return {forward_axis(s.in_height, s.out_height, s.kernel_height, s.stride_height, s.dilation_height, s.pad_top),
          forward_axis(s.in_width, s.out_width, s.kernel_width, s.stride_width, s.dilation_width, s.pad_left), s.kernel_width,
          s.out_channels};
}

Plan backward_plan(const Conv2dShape& s) {
  return {backward_axis(s.in_height, s.out_height, s.kernel_height, s.stride_height, s.dilation_height, s.pad_top),
          backward_axis(s.in_width, s.out_width, s.kernel_width, s.stride_width, s.dilation_width, s.pad_left), s.kernel_width,
          s.out_channels};
}

// Every channel `multiplier` times.
void repeat(const float* x, int64_t count, int64_t multiplier, float* wide) {
  for (int64_t i = 0; i < count; i++) {
    for (int64_t m = 0; m < multiplier; m++) wide[i * multiplier + m] = x[i];
  }
}

// The sum of every `multiplier` neighbours.
void gather(const float* wide, int64_t count, int64_t multiplier, float* x) {
  for (int64_t i = 0; i < count; i++) {
    float sum = 0.0f;
    for (int64_t m = 0; m < multiplier; m++) sum += wide[i * multiplier + m];
    x[i] = sum;
  }
}

// One row of output pixels, given the images it is in.
void compute_row(const Plan& plan, const DepthwiseRow& row, const float* in, const float* filter, float* out, int64_t at) {
  const size_t a = static_cast<size_t>(plan.span_of_row[static_cast<size_t>(at)]);
  const int64_t c = plan.channels;
  for (size_t b = 0; b < plan.x.spans.size(); b++) {
    const Span& span = plan.x.spans[b];
    const std::vector<DepthwiseTap>& taps = plan.taps_of(a, b);
    row.run({in + plan.row_offset(at), out + (at * plan.x.out + span.first) * c, span.count, plan.x.in_step * c, plan.x.out_step * c,
             taps.data(), static_cast<int64_t>(taps.size()), filter, c});
  }
}

// Divides the rows of all images among the threads.
void compute(const Plan& plan, int64_t batch, const float* in, const float* filter, float* out) {
  const DepthwiseRow& row = depthwise_row();
  const int64_t rows = plan.y.out;
  const int64_t grain = std::max<int64_t>(1, kGrainWork / std::max<int64_t>(1, plan.x.out * plan.channels));
  parallel_for(batch * rows, grain, [&](int, int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at++) {
      const int64_t image = at / rows;
      compute_row(plan, row, in + image * plan.in_floats(), filter, out + image * plan.out_floats(), at - image * rows);
    }
  });
}

}  // namespace

void depthwise_forward(const Conv2dShape& s, const float* x, const float* filter, float* y) {
  const Plan plan = forward_plan(s);
  const int64_t multiplier = s.out_channels / s.in_channels;
  if (multiplier == 1) return compute(plan, s.batch, x, filter, y);
  const DepthwiseRow& row = depthwise_row();
  const int64_t image = s.in_height * s.in_width * s.in_channels;
  parallel_for(s.batch, 1, [&](int thread, int64_t begin, int64_t end) {
    float* wide = scratch<float>(thread, Slot::kRows, image * multiplier);
    for (int64_t n = begin; n < end; n++) {
      repeat(x + n * image, image, multiplier, wide);
      for (int64_t at = 0; at < s.out_height; at++) compute_row(plan, row, wide, filter, y + n * plan.out_floats(), at);
    }
  });
}

void depthwise_input_grad(const Conv2dShape& s, const float* dy, const float* filter, float* dx) {
  const Plan plan = backward_plan(s);
  const int64_t multiplier = s.out_channels / s.in_channels;
  if (multiplier == 1) return compute(plan, s.batch, dy, filter, dx);
  const DepthwiseRow& row = depthwise_row();
  const int64_t image = s.in_height * s.in_width * s.in_channels;
  parallel_for(s.batch, 1, [&](int thread, int64_t begin, int64_t end) {
    float* wide = scratch<float>(thread, Slot::kRows, image * multiplier);
    for (int64_t n = begin; n < end; n++) {
      for (int64_t at = 0; at < s.in_height; at++) compute_row(plan, row, dy + n * plan.in_floats(), filter, wide, at);
      gather(wide, image, multiplier, dx + n * image);
    }
  });
}

void depthwise_filter_grad(const Conv2dShape& s, const float* x, const float* dy, float* dfilter) {
  const Plan plan = forward_plan(s);
  const DepthwiseRow& row = depthwise_row();
  const int64_t c = s.out_channels, rows = s.out_height, multiplier = c / s.in_channels;
  const int64_t sums_count = s.kernel_height * s.kernel_width * c;
  const int64_t row_bytes = (s.stride_height * s.in_width + s.out_width) * c * static_cast<int64_t>(sizeof(float));
  // sums += the rows [begin, end), counted over all images; `images` is where the input of the image `first` begins.
  const auto add_rows = [&](int thread, const float* images, int64_t first, int64_t begin, int64_t end, float* sums) {
    const int64_t chunk_rows = std::clamp<int64_t>(kChunkBytes / row_bytes, 1, std::max<int64_t>(1, end - begin));
    DepthwisePixels* pixels = scratch<DepthwisePixels>(thread, Slot::kTable, chunk_rows);
    for (int64_t from = begin; from < end; from += chunk_rows) {
      const int64_t to = std::min(end, from + chunk_rows);
      for (size_t a = 0; a < plan.y.spans.size(); a++) {
        for (size_t b = 0; b < plan.x.spans.size(); b++) {
          const Span& span = plan.x.spans[b];
          const std::vector<DepthwiseTap>& taps = plan.taps_of(a, b);
          int64_t count = 0;
          for (int64_t at = from; at < to; at++) {
            const int64_t image = at / rows, line = at - image * rows;
            if (plan.span_of_row[static_cast<size_t>(line)] != static_cast<int64_t>(a)) continue;
            pixels[count++] = {images + (image - first) * plan.in_floats() + plan.row_offset(line),
                               dy + (at * s.out_width + span.first) * c, span.count};
          }
          if (count == 0 || taps.empty()) continue;
          row.sums({pixels, count, plan.x.in_step * c, c, taps.data(), static_cast<int64_t>(taps.size()), sums, c});
        }
      }
    }
  };
  const int64_t grain = std::max<int64_t>(1, kGrainWork / std::max<int64_t>(1, s.out_width * c));
  const int64_t units = multiplier == 1 ? s.batch * rows : s.batch;
  const int pieces = piece_count(units, multiplier == 1 ? grain : 1, max_pieces());
  float* parts = scratch<float>(0, Slot::kGrad, pieces * sums_count);
  parallel_pieces(units, pieces, [&](int thread, int piece, int64_t begin, int64_t end) {
    float* sums = parts + piece * sums_count;
    std::memset(sums, 0, static_cast<size_t>(sums_count) * sizeof(float));
    if (multiplier == 1) return add_rows(thread, x, 0, begin, end, sums);
    const int64_t image = s.in_height * s.in_width * s.in_channels;
    float* wide = scratch<float>(thread, Slot::kRows, image * multiplier);
    for (int64_t n = begin; n < end; n++) {
      repeat(x + n * image, image, multiplier, wide);
      add_rows(thread, wide, n, n * rows, (n + 1) * rows, sums);
    }
  });
  for (int64_t i = 0; i < sums_count; i++) {
    float sum = parts[i];
    for (int p = 1; p < pieces; p++) sum += parts[p * sums_count + i];
    dfilter[i] = sum;
  }
}

}  // namespace bnn
