// Names what is on JPEG pictures with stock onnxruntime in C++ and libjpeg (Debian: apt-get install libjpeg-dev). The release of
// onnxruntime must not be older than that of its headers:
//   c++ -std=c++17 -O2 main.cc -I ONNXRUNTIME/include -L ONNXRUNTIME/lib -lonnxruntime -ljpeg -Wl,-rpath,ONNXRUNTIME/lib -o classify
//   ./classify MODEL.onnx PICTURE.jpg ...
// How pictures are prepared is in the file's metadata. With the operator library of this project, the same file runs its binary
// layers on bits: BNN_OPS=libbnn_ops.so ./classify MODEL.onnx PICTURE.jpg
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "description.h"

struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;  // [height][width][3]
};

// What the EXIF data of a photograph say of how it lies: 1 (upright) to 8.
int Orientation(const jpeg_decompress_struct& jpeg) {
  for (const jpeg_marker_struct* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const uint8_t* const tiff = marker->data + 6;
    const size_t size = marker->data_length < 6 ? 0 : marker->data_length - 6;
    if (size < 8 || std::memcmp(marker->data, "Exif\0", 6) != 0) continue;
    const bool is_little = tiff[0] == 'I';
    const auto number = [&](size_t at, int bytes) {
      uint32_t value = 0;
      for (int i = 0; i < bytes; ++i) value |= uint32_t(tiff[at + i]) << 8 * (is_little ? i : bytes - 1 - i);
      return value;
    };
    const size_t directory = number(4, 4);
    if (directory + 2 > size) continue;
    size_t at = directory + 2;
    for (uint32_t left = number(directory, 2); left > 0 && at + 12 <= size; --left, at += 12)
      if (number(at, 2) == 0x112 && number(at + 8, 2) >= 1 && number(at + 8, 2) <= 8) return int(number(at + 8, 2));
  }
  return 1;
}

// From 5 on, rows and columns change places; then each of them may run backwards.
Picture Upright(const Picture& stored, int orientation) {
  const bool is_swapped = orientation >= 5;
  const bool flips_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool flips_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  Picture result{is_swapped ? stored.height : stored.width, is_swapped ? stored.width : stored.height, stored.rgb};
  for (int y = 0; y < result.height; ++y)
    for (int x = 0; x < result.width; ++x) {
      const int from_x = flips_x ? result.width - 1 - x : x, from_y = flips_y ? result.height - 1 - y : y;
      const size_t from = is_swapped ? size_t(from_x) * stored.width + from_y : size_t(from_y) * stored.width + from_x;
      std::copy_n(&stored.rgb[3 * from], 3, &result.rgb[size_t(3) * (y * result.width + x)]);
    }
  return result;
}

Picture ReadJpeg(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<unsigned char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.empty()) throw std::runtime_error("cannot read " + path);
  jpeg_error_mgr errors;
  jpeg_decompress_struct jpeg;
  jpeg.err = jpeg_std_error(&errors);
  errors.error_exit = [](j_common_ptr info) {
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    jpeg_destroy(info);
    throw std::runtime_error(text);
  };
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, bytes.data(), bytes.size());
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  Picture picture{static_cast<int>(jpeg.output_width), static_cast<int>(jpeg.output_height), {}};
  picture.rgb.resize(size_t(3) * picture.width * picture.height);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = &picture.rgb[size_t(3) * picture.width * jpeg.output_scanline];
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  const int orientation = Orientation(jpeg);
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return orientation == 1 ? picture : Upright(picture, orientation);
}

// Which source pixels one pixel of the result reads, with weights in units of 2^-22.
struct Taps {
  int first;
  std::vector<int32_t> weights;
};
constexpr int kBits = 22;

// A triangle filter, as wide as the shrinking.
std::vector<Taps> MakeTaps(int from, int to) {
  const double scale = double(from) / to, reach = std::max(1.0, scale);
  std::vector<Taps> taps(to);
  for (int i = 0; i < to; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, int(center - reach + 0.5));
    const int last = std::min(from, int(center + reach + 0.5));
    std::vector<double> weights;
    for (int s = first; s < last; ++s) weights.push_back(std::max(0.0, 1 - std::abs(s - center + 0.5) * (1 / reach)));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    taps[i].first = first;
    for (double weight : weights) taps[i].weights.push_back(int32_t(0.5 + weight / sum * (1 << kBits)));
  }
  return taps;
}

// Across, then down, rounded to bytes after each.
Picture Resize(const Picture& picture, int width, int height) {
  const auto across = MakeTaps(picture.width, width), down = MakeTaps(picture.height, height);
  Picture rows{width, picture.height, std::vector<uint8_t>(size_t(3) * width * picture.height)};
  for (int y = 0; y < rows.height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) {
        int32_t sum = 1 << (kBits - 1);
        const uint8_t* from = &picture.rgb[size_t(3) * (y * picture.width + across[x].first) + c];
        for (int32_t weight : across[x].weights) sum += weight * *from, from += 3;
        rows.rgb[size_t(3) * (y * width + x) + c] = uint8_t(sum >> kBits);
      }
  Picture result{width, height, std::vector<uint8_t>(size_t(3) * width * height)};
  const size_t line = size_t(3) * width;
  for (int y = 0; y < height; ++y)
    for (size_t i = 0; i < line; ++i) {
      int32_t sum = 1 << (kBits - 1);
      for (size_t k = 0; k < down[y].weights.size(); ++k) sum += down[y].weights[k] * rows.rgb[(down[y].first + k) * line + i];
      result.rgb[y * line + i] = uint8_t(sum >> kBits);
    }
  return result;
}

// Resizes, and cuts out the middle or puts the picture on black.
Picture Frame(const Picture& picture, const Description& what) {
  if (what.fit == "squash") return Resize(picture, what.width, what.height);
  const bool is_crop = what.fit == "crop";
  const double ratio = is_crop ? what.shorter_side / std::min(what.width, what.height) : 1;
  const int64_t across = std::llround(what.width * ratio), down = std::llround(what.height * ratio);
  const int64_t w = picture.width, h = picture.height;
  // Cropped pictures cover the size, padded ones fit into it.
  const bool by_width = is_crop ? w * down <= h * across : w * down >= h * across;
  const Picture resized = by_width ? Resize(picture, across, std::max<int64_t>(1, h * across / w))
                                   : Resize(picture, std::max<int64_t>(1, w * down / h), down);
  const auto offset = [&](int room) { return is_crop ? -int(std::nearbyint(-room / 2.0)) : room / 2; };
  const int left = offset(what.width - resized.width), top = offset(what.height - resized.height);
  Picture result{what.width, what.height, std::vector<uint8_t>(size_t(3) * what.width * what.height)};
  for (int y = 0; y < what.height; ++y)
    for (int x = 0; x < what.width; ++x) {
      const int sx = x - left, sy = y - top;
      if (sx < 0 || sy < 0 || sx >= resized.width || sy >= resized.height) continue;
      std::copy_n(&resized.rgb[size_t(3) * (sy * resized.width + sx)], 3, &result.rgb[size_t(3) * (y * what.width + x)]);
    }
  return result;
}

std::vector<float> Prepare(const Picture& framed, const Description& what) {
  const size_t pixels = size_t(what.width) * what.height, channels = what.mean.size();
  std::vector<float> x(pixels * channels);
  for (size_t p = 0; p < pixels; ++p) {
    const uint8_t* rgb = &framed.rgb[3 * p];
    for (size_t c = 0; c < channels; ++c) {
      const int value = channels == 1 ? (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16 : rgb[c];
      x[what.layout == "NCHW" ? c * pixels + p : p * channels + c] = float((value / 255.0 - what.mean[c]) / what.std[c]);
    }
  }
  return x;
}

// The five most likely classes, with probabilities. One number decides between two classes.
void Print(std::vector<double> numbers, const Description& what) {
  const bool is_logits = what.output == "logits", is_signed = what.output == "signed";
  if (numbers.size() == 1) numbers.insert(numbers.begin(), is_logits ? 0 : is_signed ? -numbers[0] : 1 - numbers[0]);
  const double most = *std::max_element(numbers.begin(), numbers.end());
  double sum = 0;
  for (double number : numbers) sum += std::exp(number - most);
  std::vector<size_t> order(numbers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return numbers[a] > numbers[b]; });
  for (size_t i = 0; i < std::min<size_t>(5, order.size()); ++i) {
    const double number = numbers[order[i]];
    const double probability = is_logits ? std::exp(number - most) / sum : is_signed ? (1 + number) / 2 : number;
    const std::string name = order[i] < what.classes.size() ? what.classes[order[i]] : "class " + std::to_string(order[i]);
    std::printf("%5.1f %%  %s\n", 100 * probability, name.c_str());
  }
}

int main(int argc, char** argv) try {
  if (argc < 3) return std::fprintf(stderr, "usage: classify MODEL.onnx PICTURE.jpg ...\n"), 2;
  Ort::Env env;
  Ort::SessionOptions options;
  if (const char* library = std::getenv("BNN_OPS")) options.RegisterCustomOpsLibrary(library);
  Ort::Session session(env, argv[1], options);
  Ort::AllocatorWithDefaultOptions allocator;
  const auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated("bnn.preprocessing", allocator);
  if (text == nullptr) throw std::runtime_error("the file does not say how its pictures are prepared");
  const Description what = ParseDescription(text.get());
  const auto input_name = session.GetInputNameAllocated(0, allocator);
  const auto output_name = session.GetOutputNameAllocated(0, allocator);
  const char* inputs[] = {input_name.get()};
  const char* outputs[] = {output_name.get()};
  const int64_t channels = int64_t(what.mean.size());
  std::vector<int64_t> shape{1, channels, what.height, what.width};
  if (what.layout != "NCHW") shape = {1, what.height, what.width, channels};
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  for (int i = 2; i < argc; ++i) {
    std::vector<float> x = Prepare(Frame(ReadJpeg(argv[i]), what), what);
    auto input = Ort::Value::CreateTensor<float>(memory, x.data(), x.size(), shape.data(), shape.size());
    auto result = session.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 1);
    const float* scores = result[0].GetTensorData<float>();
    std::printf("%s\n", argv[i]);
    Print(std::vector<double>(scores, scores + result[0].GetTensorTypeAndShapeInfo().GetElementCount()), what);
  }
} catch (const std::exception& error) {
  return std::fprintf(stderr, "classify: %s\n", error.what()), 1;
}
