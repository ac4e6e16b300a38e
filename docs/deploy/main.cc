// Runs a packed model with stock onnxruntime in C++, whose release must not be older than that of the headers:
//   c++ -std=c++17 main.cc -I ONNXRUNTIME/include -L ONNXRUNTIME/lib -lonnxruntime -Wl,-rpath,ONNXRUNTIME/lib -o classify
//   ./classify MODEL.onnx
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdio>
#include <vector>

int main(int argc, char** argv) try {
  if (argc < 2) return std::fprintf(stderr, "usage: classify MODEL.onnx [libbnn_ops.so]\n"), 2;
  Ort::Env env;
  Ort::SessionOptions options;
  // With the operator library of this project, the same file runs its binary layers on bits.
  if (argc > 2) options.RegisterCustomOpsLibrary(argv[2]);
  Ort::Session session(env, argv[1], options);

  // One picture, normalized as in training: (pixel / 255 - mean) / std; the file's metadata holds mean and std.
  std::vector<int64_t> shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
  shape[0] = 1;
  size_t size = 1;
  for (int64_t n : shape) size *= static_cast<size_t>(n);
  std::vector<float> picture(size);
  for (size_t i = 0; i < size; ++i) picture[i] = -1.0f + 2.0f * i / (size - 1);

  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto input = Ort::Value::CreateTensor<float>(memory, picture.data(), size, shape.data(), shape.size());
  const char* inputs[] = {"input"};
  const char* outputs[] = {"logits"};
  auto result = session.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 1);
  const float* logits = result[0].GetTensorData<float>();
  const size_t classes = result[0].GetTensorTypeAndShapeInfo().GetElementCount();
  std::printf("class %d\n", static_cast<int>(std::max_element(logits, logits + classes) - logits));
} catch (const Ort::Exception& error) {
  return std::fprintf(stderr, "classify: %s\n", error.what()), 1;
}
