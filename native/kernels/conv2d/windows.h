// Turns ranges of output rows into chunks: finds the segments of a window and copies input rows with their padding.
#pragma once

#include "kernels/conv2d/chunk.h"

#include <cstdint>
#include <vector>

namespace bnn {

// A tap reads the input at (origin + g · step + (dy, dx)) for the grid position g; filter_index is r · kernel_width + s.
struct Tap {
  int64_t dy, dx, filter_index;
};

// How windows hold the input: as it is, rounded to bfloat16, or as pairs of bfloat16 in the place of a float (bf16.h): of two neighbouring
// channels, or of a channel in two pixels that are read one after the other (the other one `step_width` further).
enum class Form { kFloats, kRounded, kChannelPairs, kPixelPairs };

// Which input windows a grid of output positions reads. Coordinates may lie outside the input: there it is zero.
struct Windows {
  int64_t batch, in_height, in_width, channels;
  int64_t pixel_floats;  // from pixel to pixel of the input: more than channels where a window sees one group of them
  int64_t grid_height, grid_width;
  int64_t step_height, step_width;
  int64_t origin_height, origin_width;
  bool binarize;              // windows see sign(x), +1 at 0 and −1 for NaN; the padding stays 0
  Form form = Form::kFloats;  // anything else without groups only
  bool dense_output;          // output pixels are contiguous, so rows may be regrouped
  std::vector<Tap> taps;      // after prepare(): sorted by (dy, dx), all dy, dx ≥ 0

  // Set by prepare():
  int64_t span_height, span_width;  // window size, dilation included
  bool direct;                      // no window leaves the input: rows are read in place
  int64_t pitch;                    // pixels from one window row to the next
  int64_t pixel_limit;              // positions of the grid that exist, in row order; the last row may be shorter
  std::vector<Segment> segments;
  int64_t depth;

  // Completes the description. A 1×1 window over everything becomes rows of a long vector of pixels.
  void prepare();
  int64_t row_total() const { return batch * grid_height; }
  // Of the memory of a pixel.
  int64_t words() const { return form == Form::kChannelPairs ? channels / 2 : channels; }
  // Weights that an output sees.
  int64_t weights() const { return static_cast<int64_t>(taps.size()) * channels; }
  int64_t row_bytes() const;  // input bytes that one more grid row adds to a chunk
};

struct OutputGrid {
  float* data;                       // grid position (0, 0) of image 0
  int64_t image_stride, row_stride;  // floats
};

// Describes the grid rows [begin, end) (counted over all images), at most `capacity` of them, in `rows`; copies padded input to
// `padded`, which must hold padded_floats(end − begin). `rows[i].out` comes from `out`.
void describe_rows(const Windows& windows, const float* x, const OutputGrid& out, int64_t begin, int64_t end, float* padded,
                   ChunkRow* rows);
int64_t padded_floats(const Windows& windows, int64_t rows);

}  // namespace bnn
