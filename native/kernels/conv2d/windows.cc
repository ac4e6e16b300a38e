#include "kernels/conv2d/windows.h"

#include "kernels/conv2d/bf16.h"
#include "kernels/elementwise/elementwise.h"

#include <algorithm>
#include <cstring>

namespace bnn {
namespace {

// Pixels per row of a flattened 1×1 convolution: a multiple of every tile's height, short enough to divide work among threads.
constexpr int64_t kFlatWidth = 48;

template <int64_t kChannels>
void copy_group_of(const float* from, int64_t pixels, int64_t stride, float* to) {
  for (int64_t i = 0; i < pixels; i++) std::memcpy(to + i * kChannels, from + i * stride, kChannels * sizeof(float));
}

// The first `channels` of every pixel's `stride` floats.
void copy_group(const float* from, int64_t pixels, int64_t stride, int64_t channels, float* to) {
  // A size that is known needs no call for each pixel.
  if (channels == 4) return copy_group_of<4>(from, pixels, stride, to);
  if (channels == 8) return copy_group_of<8>(from, pixels, stride, to);
  if (channels == 16) return copy_group_of<16>(from, pixels, stride, to);
  for (int64_t i = 0; i < pixels; i++)
    std::memcpy(to + i * channels, from + i * stride, static_cast<size_t>(channels) * sizeof(float));
}

// Copies `width` pixels of input row y from column x0 on, zeros outside the input.
void copy_padded_row(const Windows& w, const float* image, int64_t y, int64_t x0, int64_t width, float* to) {
  const int64_t c = w.channels;
  if (y < 0 || y >= w.in_height) {
    std::memset(to, 0, static_cast<size_t>(width * c) * sizeof(float));
    return;
  }
  const int64_t first = std::clamp<int64_t>(-x0, 0, width);
  const int64_t last = std::clamp<int64_t>(w.in_width - x0, first, width);
  std::memset(to, 0, static_cast<size_t>(first * c) * sizeof(float));
  if (last > first) {
    const float* from = image + (y * w.in_width + x0 + first) * w.pixel_floats;
    const int64_t count = (last - first) * c;
    if (c != w.pixel_floats) {
      copy_group(from, last - first, w.pixel_floats, c, to + first * c);
    } else if (w.binarize) {
      elementwise_row().unary(UnaryOp::kSign, from, 0.0f, to + first * c, count);
    } else {
      std::memcpy(to + first * c, from, static_cast<size_t>(count) * sizeof(float));
    }
  }
  std::memset(to + last * c, 0, static_cast<size_t>((width - last) * c) * sizeof(float));
}

// A row and zeros beyond it, of which pairs of pixels are made.
int64_t spare_floats(const Windows& w) {
  return w.form == Form::kFloats || w.form == Form::kRounded ? 0 : (w.pitch + w.step_width) * w.channels;
}

// A row in the form of `w`, by way of `spare` (spare_floats).
void copy_row_as(const Windows& w, const float* image, int64_t y, float* spare, float* to) {
  const bool is_paired = w.form == Form::kChannelPairs || w.form == Form::kPixelPairs;
  float* floats = is_paired ? spare : to;
  copy_padded_row(w, image, y, w.origin_width, w.pitch, floats);
  const int64_t count = w.pitch * w.channels, further = w.step_width * w.channels;
  if (w.form == Form::kRounded) round_to_bf16(floats, count);
  if (w.form == Form::kChannelPairs) bf16_row()->join(floats, count / 2, to);
  if (w.form != Form::kPixelPairs) return;
  std::memset(floats + count, 0, static_cast<size_t>(further) * sizeof(float));
  bf16_row()->pair(floats, floats + further, count, to);
}

int64_t padded_width(const Windows& w) { return (w.grid_width - 1) * w.step_width + w.span_width; }

}  // namespace

void Windows::prepare() {
  int64_t min_y = 0, min_x = 0, max_y = 0, max_x = 0;
  for (size_t i = 0; i < taps.size(); i++) {
    min_y = i == 0 ? taps[i].dy : std::min(min_y, taps[i].dy);
    min_x = i == 0 ? taps[i].dx : std::min(min_x, taps[i].dx);
    max_y = i == 0 ? taps[i].dy : std::max(max_y, taps[i].dy);
    max_x = i == 0 ? taps[i].dx : std::max(max_x, taps[i].dx);
  }
  origin_height += min_y;
  origin_width += min_x;
  for (Tap& tap : taps) {
    tap.dy -= min_y;
    tap.dx -= min_x;
  }
  std::sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) { return a.dy != b.dy ? a.dy < b.dy : a.dx < b.dx; });
  span_height = max_y - min_y + 1;
  span_width = max_x - min_x + 1;
  pixel_limit = grid_height * grid_width;
  direct = !binarize && form == Form::kFloats && pixel_floats == channels && origin_height >= 0 && origin_width >= 0 &&
           origin_height + (grid_height - 1) * step_height + span_height <= in_height &&
           origin_width + (grid_width - 1) * step_width + span_width <= in_width;
  const bool every_pixel = dense_output && taps.size() == 1 && direct && step_height == 1 && step_width == 1 &&
                           grid_height == in_height && grid_width == in_width;
  if (every_pixel) {
    pixel_limit = batch * in_height * in_width;
    batch = 1;
    grid_width = in_width = kFlatWidth;
    grid_height = in_height = (pixel_limit + kFlatWidth - 1) / kFlatWidth;
  }
  pitch = direct ? in_width : padded_width(*this);
  segments.clear();
  depth = 0;
  for (const Tap& tap : taps) {
    const int64_t offset = (tap.dy * pitch + tap.dx) * words();
    depth += words();
    if (!segments.empty() && segments.back().offset + segments.back().length == offset) {
      segments.back().length += words();
    } else {
      segments.push_back({offset, words()});
    }
  }
}

int64_t Windows::row_bytes() const { return step_height * pitch * pixel_floats * static_cast<int64_t>(sizeof(float)); }

int64_t padded_floats(const Windows& w, int64_t rows) {
  if (w.direct) return 0;
  // Each image among the rows needs its own halo.
  const int64_t images = rows / w.grid_height + 2;
  const int64_t halo = std::max<int64_t>(w.span_height - w.step_height, 0);
  return (rows * w.step_height + std::min(images, rows) * halo) * w.pitch * w.words() + spare_floats(w);
}

void describe_rows(const Windows& w, const float* x, const OutputGrid& out, int64_t begin, int64_t end, float* padded,
                   ChunkRow* rows) {
  const int64_t image_floats = w.in_height * w.in_width * w.pixel_floats;
  float* spare = padded;
  padded += spare_floats(w);
  for (int64_t at = begin; at < end;) {
    const int64_t image = at / w.grid_height;
    const int64_t first = at - image * w.grid_height;
    const int64_t last = std::min(w.grid_height, first + (end - at));
    const float* source = x + image * image_floats;
    const int64_t y0 = w.origin_height + first * w.step_height;
    for (int64_t g = first; g < last; g++) {
      ChunkRow& row = rows[at - begin + (g - first)];
      row.out = out.data + image * out.image_stride + g * out.row_stride;
      row.width = std::min(w.grid_width, w.pixel_limit - g * w.grid_width);
      row.window = w.direct ? source + ((y0 + (g - first) * w.step_height) * w.in_width + w.origin_width) * w.channels
                            : padded + (g - first) * w.step_height * w.pitch * w.words();
    }
    if (!w.direct) {
      const int64_t count = (last - first - 1) * w.step_height + w.span_height;
      for (int64_t i = 0; i < count; i++) {
        copy_row_as(w, source, y0 + i, spare, padded);
        padded += w.pitch * w.words();
      }
    }
    at += last - first;
  }
}

}  // namespace bnn
