// Drivers: tiles in chunks that stay in the second-level cache; transform, multiply each of the 16 planes, transform back.
#include "kernels/conv2d/winograd.h"

#include "kernels/conv2d/bf16.h"
#include "threading/thread_pool.h"

#include <algorithm>
#include <cstring>

namespace bnn {
namespace {

constexpr int64_t kPlanes = 16;
// Below, a convolution moves more than it multiplies.
constexpr int64_t kLeastChannels = 16;
// Spectra of a chunk: they should stay in the second-level cache, but a chunk must pay for reading all weights, or for adding to all sums.
constexpr int64_t kChunkBytes = 384 << 10, kBf16ChunkBytes = 192 << 10;
constexpr int64_t kLeastChunkTiles = 64;
// Floats of filter-gradient sums that a second-level cache holds beside the rest.
constexpr int64_t kSmallSums = 64 << 10;

const WinogradRow& winograd_row() {
  static constexpr KernelRow<WinogradRow> table[] = BNN_ROWS(winograd_row);
  return active_row(table);
}

// Windows of size × size pixels at every other pixel: one for each tile of the grid of `w`.
Windows tile_windows(const Windows& w, int64_t size) {
  Windows t{};
  t.batch = w.batch;
  t.in_height = w.in_height;
  t.in_width = w.in_width;
  t.channels = t.pixel_floats = w.channels;
  t.grid_height = (w.grid_height + 1) / 2;
  t.grid_width = (w.grid_width + 1) / 2;
  t.step_height = t.step_width = 2;
  t.origin_height = w.origin_height;
  t.origin_width = w.origin_width;
  t.binarize = w.binarize;
  for (int64_t r = 0; r < size; r++) {
    for (int64_t c = 0; c < size; c++) t.taps.push_back({r, c, r * size + c});
  }
  t.prepare();
  return t;
}

// dy as it is, in tiles.
Windows gradient_windows(const Windows& w, int64_t outputs) {
  Windows d{};
  d.batch = w.batch;
  d.in_height = d.grid_height = w.grid_height;
  d.in_width = d.grid_width = w.grid_width;
  d.channels = outputs;
  return tile_windows(d, 2);
}

// The tile rows of a chunk, their spectra and those of what belongs to them.
struct Chunks {
  int64_t rows, tiles;
  // Floats (or pairs) from tile to tile: not a power of two, for tiles that lie one apart fall into the same few sets of a first-level cache.
  int64_t stride;
  // Floats from plane to plane, by one cache line more than they hold for the same reason.
  int64_t plane, other_plane;

  // A row has `width` tiles, each of `words` in every plane and `others` of what belongs to it.
  Chunks(const Windows& t, int64_t width, int64_t words, int64_t others, Form form) {
    const int64_t bytes = kPlanes * (words + others) * static_cast<int64_t>(sizeof(float));
    const int64_t most = std::max((form == Form::kFloats ? kChunkBytes : kBf16ChunkBytes) / bytes, kLeastChunkTiles);
    rows = std::clamp<int64_t>(most / width, 1, t.row_total());
    tiles = rows * width;
    stride = words + (words % 128 == 0 ? 16 : 0);
    plane = round_up(tiles * stride, 16) + 16;
    other_plane = round_up(tiles * others, 16) + 16;
  }
};

int64_t grain_rows(const Windows& t, int64_t columns) {
  return std::max<int64_t>(1, kGrainWork / (t.grid_width * t.channels * columns * kPlanes));
}

using Transform = decltype(WinogradRow::input);

// A transform of the tiles of `count` rows, whose spectra have `width` of them each.
void transform_rows(Transform transform, const Windows& t, const ChunkRow* rows, int64_t count, int64_t width, float* spectrum,
                    int64_t plane, int64_t stride) {
  for (int64_t r = 0; r < count; r++) {
    transform(rows[r].window, t.pitch * t.channels, t.grid_width, t.channels, spectrum + r * width * stride, plane, stride);
  }
}

// The first `count` floats of every plane.
void round_planes(float* spectrum, int64_t plane, int64_t count) {
  for (int64_t p = 0; p < kPlanes; p++) round_to_bf16(spectrum + p * plane, count);
}

// Memory that will be read soon. Beside each of 16 matrix products a sixteenth of it is fetched into the second-level cache.
struct Ahead {
  const float* begin;
  const float* end;

  void fetch(int64_t product) const {
    const int64_t count = end - begin;
    const float* last = begin + count * (product + 1) / kPlanes;
    for (const float* line = begin + count * product / kPlanes; line < last; line += 16) __builtin_prefetch(line, 0, 2);
  }
};

// About what the windows of the tile rows from `begin` to `end` read of x.
Ahead input_ahead(const Windows& t, const float* x, int64_t begin, int64_t end) {
  const auto pixels = [&](int64_t at) {
    const int64_t image = at / t.grid_height;
    return x + (image * t.in_height + std::min(t.in_height, at % t.grid_height * 2)) * t.in_width * t.channels;
  };
  return {pixels(begin), pixels(end)};
}

// G g Gᵀ of all filters: 16 panels.
const float* transform_panel(const Windows& w, const FilterView& filter, int64_t columns, const ConvRow& row) {
  const float* taps = pack_panel(w, filter, 1, columns, row);
  const int64_t block = static_cast<int64_t>(row.vector) * row.panel_vectors;
  const int64_t plane = w.channels * round_up(columns, row.vector);
  float* spectra = scratch<float>(0, Slot::kFilters, kPlanes * plane);
  const int64_t grain = std::max<int64_t>(1, kGrainWork / (w.weights() * block));
  parallel_for((columns + block - 1) / block, grain, [&](int, int64_t begin, int64_t end) {
    for (int64_t first = begin * block; first < std::min(end * block, columns); first += block) {
      const int64_t width = round_up(std::min(block, columns - first), row.vector);
      winograd_row().filter(taps + first * w.weights(), w.channels * width, spectra + first * w.channels, plane);
    }
  });
  if (w.form == Form::kRounded) round_to_bf16(spectra, kPlanes * plane);
  return w.form == Form::kChannelPairs ? pair_panels(spectra, kPlanes, w.channels, columns, row) : spectra;
}

}  // namespace

bool suits_winograd(const Windows& w, int64_t columns) {
  const bool neighbours = w.taps.size() == 9 && w.span_height == 3 && w.span_width == 3 && w.step_height == 1 && w.step_width == 1;
  return neighbours && w.dense_output && w.pixel_floats == w.channels && w.channels >= kLeastChannels && columns >= kLeastChannels;
}

void winograd_forward(const Windows& w, const float* x, const FilterView& filter, int64_t columns, const OutputGrid& out,
                      int64_t out_pixel_stride, const RowsDone& done) {
  const bool is_paired = w.form == Form::kChannelPairs;
  const ConvRow& row = is_paired ? bf16_row()->products : conv_row();
  const Transform transform = is_paired ? bf16_row()->input : winograd_row().input;
  const float* panels = transform_panel(w, filter, columns, row);
  const int64_t panel_floats = w.words() * round_up(columns, row.vector);
  const Windows t = tile_windows(w, 4);
  const Chunks chunks(t, t.grid_width, w.words(), columns, w.form);
  const Segment channels{0, w.words()};
  const OutputGrid tile_out{out.data, out.image_stride, 2 * out.row_stride};
  parallel_for(t.row_total(), grain_rows(t, columns), [&](int thread, int64_t begin, int64_t end) {
    float* padded = scratch<float>(thread, Slot::kRows, padded_floats(t, chunks.rows));
    ChunkRow* rows = scratch<ChunkRow>(thread, Slot::kTable, 3 * chunks.rows);
    ChunkRow* finished = rows + chunks.rows;
    float* spectrum = scratch<float>(thread, Slot::kSpectrum, kPlanes * chunks.plane);
    float* products = scratch<float>(thread, Slot::kProducts, kPlanes * chunks.other_plane);
    for (int64_t at = begin; at < end; at += chunks.rows) {
      const int64_t count = std::min(chunks.rows, end - at);
      describe_rows(t, x, tile_out, at, at + count, padded, rows);
      transform_rows(transform, t, rows, count, t.grid_width, spectrum, chunks.plane, chunks.stride);
      if (w.form == Form::kRounded) round_planes(spectrum, chunks.plane, count * t.grid_width * chunks.stride);
      const Ahead next = input_ahead(t, x, at + count, std::min(end, at + 2 * count));
      // The rows of a chunk follow one another in done.reads, as they do in the output.
      const float* beside = done.reads == nullptr ? nullptr : done.reads + (rows[0].out - out.data);
      const Ahead other{beside, beside == nullptr ? nullptr : beside + (rows[count - 1].out - rows[0].out)};
      for (int64_t p = 0; p < kPlanes; p++) {
        next.fetch(p);
        other.fetch(p);
        const ChunkRow tiles{spectrum + p * chunks.plane, products + p * chunks.other_plane, count * t.grid_width};
        row.forward({&tiles, 1, chunks.stride, columns, &channels, 1, w.words(), panels + p * panel_floats, columns});
      }
      int64_t finished_rows = 0;
      for (int64_t r = 0; r < count; r++) {
        const int64_t height = std::min<int64_t>(2, w.grid_height - (at + r) % t.grid_height * 2);
        winograd_row().output(products + r * t.grid_width * columns, chunks.other_plane, columns, rows[r].out, out.row_stride,
                              out_pixel_stride, height, w.grid_width);
        for (int64_t i = 0; i < height; i++) finished[finished_rows++] = {nullptr, rows[r].out + i * out.row_stride, w.grid_width};
      }
      done.call(done.context, finished, finished_rows);
    }
  });
}

void winograd_filter_grad(const Windows& w, const float* x, const float* dy, int64_t outputs, float* dfilter) {
  const bool is_paired = w.form == Form::kPixelPairs;
  const ConvRow& row = is_paired ? bf16_row()->products : conv_row();
  const Transform transform = is_paired ? bf16_row()->input_pairs : winograd_row().input;
  const Transform transform_grad = is_paired ? bf16_row()->output_grad_pairs : winograd_row().output_grad;
  const int64_t columns = round_up(outputs, row.vector);
  const Windows t = tile_windows(w, 4);
  const Windows d = gradient_windows(w, outputs);
  // Tiles of a row, or pairs of them.
  const int64_t width = is_paired ? (t.grid_width + 1) / 2 : t.grid_width;
  const Chunks chunks(t, width, w.channels, columns, w.form);
  const Segment channels{0, w.channels};
  const int64_t plane_sums = w.channels * columns;
  const int64_t sums_count = kPlanes * plane_sums;
  // Few pieces where sums are large, because each is cleared, kept in a cache and added up.
  const int limit = sums_count <= kSmallSums ? max_pieces() : thread_count();
  const int pieces = piece_count(t.row_total(), grain_rows(t, columns), limit);
  float* parts = scratch<float>(0, Slot::kGrad, pieces * sums_count);
  parallel_pieces(t.row_total(), pieces, [&](int thread, int piece, int64_t begin, int64_t end) {
    float* sums = parts + piece * sums_count;
    std::memset(sums, 0, static_cast<size_t>(sums_count) * sizeof(float));
    float* padded = scratch<float>(thread, Slot::kRows, padded_floats(t, chunks.rows));
    float* padded_dy = scratch<float>(thread, Slot::kExtra, padded_floats(d, chunks.rows));
    ChunkRow* rows = scratch<ChunkRow>(thread, Slot::kTable, chunks.rows);
    float* spectrum = scratch<float>(thread, Slot::kSpectrum, kPlanes * chunks.plane);
    float* gradients = scratch<float>(thread, Slot::kProducts, kPlanes * chunks.other_plane);
    float* packed = scratch<float>(thread, Slot::kPanel, chunks.tiles * 2 * row.vector);
    for (int64_t at = begin; at < end; at += chunks.rows) {
      const int64_t count = std::min(chunks.rows, end - at);
      describe_rows(t, x, {}, at, at + count, padded, rows);
      transform_rows(transform, t, rows, count, width, spectrum, chunks.plane, chunks.stride);
      describe_rows(d, dy, {}, at, at + count, padded_dy, rows);
      transform_rows(transform_grad, d, rows, count, width, gradients, chunks.other_plane, columns);
      if (w.form == Form::kRounded) {
        round_planes(spectrum, chunks.plane, count * width * chunks.stride);
        round_planes(gradients, chunks.other_plane, count * width * columns);
      }
      const int64_t then = std::min(end, at + 2 * count);
      const Ahead next_x = input_ahead(t, x, at + count, then), next_dy = input_ahead(d, dy, at + count, then);
      for (int64_t p = 0; p < kPlanes; p++) {
        next_x.fetch(p);
        next_dy.fetch(p);
        const ChunkRow tiles{spectrum + p * chunks.plane, gradients + p * chunks.other_plane, count * width};
        row.filter_grad({&tiles, 1, chunks.stride, columns, &channels, 1, sums + p * plane_sums, columns, packed});
      }
    }
  });
  parallel_for(w.channels, std::max<int64_t>(1, kGrainWork / (kPlanes * columns)), [&](int, int64_t begin, int64_t end) {
    for (int64_t p = 0; p < kPlanes; p++) {
      float* sum = parts + p * plane_sums;
      for (int piece = 1; piece < pieces; piece++) {
        const float* part = sum + piece * sums_count;
        for (int64_t i = begin * columns; i < end * columns; i++) sum[i] += part[i];
      }
    }
    for (int64_t c = begin; c < end; c++) {
      winograd_row().filter_grad(parts + c * columns, plane_sums, outputs, dfilter + c * outputs, w.channels * outputs);
    }
  });
}

}  // namespace bnn
