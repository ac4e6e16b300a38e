#include "kernels/binary_conv/conv_shape.h"

#include <algorithm>
#include <cstring>

namespace bnn {

ConvLayout layout_of(const BinaryConvShape& s, int64_t height, int64_t width) {
  ConvLayout layout{};
  layout.height = height;
  layout.width = width;
  layout.outHeight = s.out_size(0, height);
  layout.outWidth = s.out_size(1, width);
  layout.paddedHeight = height + s.pads[0] + s.pads[2];
  layout.phaseWidth = (width + s.pads[1] + s.pads[3] + s.strides[1] - 1) / s.strides[1];
  layout.rowWords = layout.phaseWidth * s.strides[1];
  layout.planeWords = layout.paddedHeight * layout.rowWords;
  return layout;
}

ptrdiff_t tap_offset(const BinaryConvShape& s, const ConvLayout& layout, int64_t kernelRow, int64_t kernelColumn) {
  const int64_t column = kernelColumn * s.dilations[1];
  return kernelRow * s.dilations[0] * layout.rowWords + column % s.strides[1] * layout.phaseWidth + column / s.strides[1];
}

int runs_of(const BinaryConvShape& s, const ConvLayout& layout, int64_t begin, int count, PanelRun* runs) {
  int runCount = 0;
  int64_t row = begin / layout.outWidth, column = begin % layout.outWidth;
  for (int done = 0; done < count; row++, column = 0) {
    const int run = static_cast<int>(std::min<int64_t>(layout.outWidth - column, count - done));
    const ptrdiff_t source = row * s.strides[0] * layout.rowWords + column;
    PanelRun* last = runCount > 0 ? runs + runCount - 1 : nullptr;
    if (last != nullptr && last->source + last->count == source) {
      last->count += run;
    } else {
      runs[runCount++] = {source, done, run};
    }
    done += run;
  }
  return runCount;
}

void scatter(const BinaryConvShape& s, const ConvLayout& layout, const uint32_t* elements, int64_t at, int64_t count, int64_t origin,
             uint32_t* plane) {
  const int64_t stride = s.strides[1], left = s.pads[1];
  for (int64_t done = 0; done < count;) {
    const int64_t row = (at + done) / layout.width, column = (at + done) % layout.width;
    const int64_t run = std::min(layout.width - column, count - done);
    uint32_t* target = plane + (row + s.pads[0] - origin) * layout.rowWords;
    if (stride == 1) {
      std::memcpy(target + left + column, elements + done, static_cast<size_t>(run) * 4);
    } else {
      for (int64_t phase = 0; phase < stride; phase++) {
        // The first of the run whose padded column has this remainder.
        const int64_t skip = (phase - (left + column) % stride + stride) % stride;
        uint32_t* to = target + phase * layout.phaseWidth + (left + column + skip) / stride;
        for (int64_t i = skip; i < run; i += stride) *to++ = elements[done + i];
      }
    }
    done += run;
  }
}

void clear_padding(const BinaryConvShape& s, const ConvLayout& layout, int64_t begin, int64_t end, int64_t origin, uint32_t* plane) {
  const bool margins = layout.rowWords != layout.width;
  for (int64_t row = begin; row < end; row++) {
    if (margins || row < s.pads[0] || row >= s.pads[0] + layout.height) {
      std::memset(plane + (row - origin) * layout.rowWords, 0, static_cast<size_t>(layout.rowWords) * 4);
    }
  }
}

}  // namespace bnn
