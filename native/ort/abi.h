// The part of onnxruntime's C interface that the op library uses, declared by ourselves because no package ships the header.
//
// OrtApi is a table of functions that only ever grows at its end, so the index of a function never changes. Every function here
// is present since version 17, the least that is supported (onnxruntime 1.17); KernelContext_ParallelFor is why it is not older.
// Names are onnxruntime's; test/native/ort-abi.test.ts compares with its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace bnn {
namespace ort {

constexpr uint32_t kLeastVersion = 17;
constexpr uint32_t kBestVersion = 22;

struct OrtApi;
struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

// The version of the interface to ask for, the best that both sides know; 0 when onnxruntime is too old. A higher one than it has
// makes onnxruntime complain on stderr. Release 1.30.0 came with version 30.
inline uint32_t common_version(const OrtApiBase* base) {
  const char* dot = std::strchr(base->GetVersionString(), '.');
  const unsigned long offered = dot == nullptr ? 0 : std::strtoul(dot + 1, nullptr, 10);
  if (offered < kLeastVersion) return 0;
  return offered < kBestVersion ? static_cast<uint32_t>(offered) : kBestVersion;
}

// Opaque types of onnxruntime.
struct OrtStatus;
struct OrtValue;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtTensorTypeAndShapeInfo;
struct OrtShapeInferContext;

enum ErrorCode : int { kFail = 1, kInvalidArgument = 2 };
enum ElementType : int { kUndefined = 0, kFloat = 1, kUint8 = 2 };
enum Characteristic : int { kRequired = 0, kVariadic = 2 };
enum MemoryType : int { kDefaultMemory = 0 };

// A function of the table: its index and its type.
template <size_t kIndex, typename Function>
struct Slot;
template <size_t kIndex, typename Result, typename... Args>
struct Slot<kIndex, Result(Args...)> {
  static Result call(const OrtApi* api, Args... args) {
    using Pointer = Result (*)(Args...);
    static_assert(sizeof(Pointer) == sizeof(void*), "the table holds plain pointers");
    return reinterpret_cast<const Pointer*>(api)[kIndex](args...);
  }
};

using CreateStatus = Slot<0, OrtStatus*(int, const char*)>;
using GetErrorMessage = Slot<2, const char*(const OrtStatus*)>;
using CreateCustomOpDomain = Slot<26, OrtStatus*(const char*, OrtCustomOpDomain**)>;
struct OrtCustomOp;
using CustomOpDomain_Add = Slot<27, OrtStatus*(OrtCustomOpDomain*, const OrtCustomOp*)>;
using AddCustomOpDomain = Slot<28, OrtStatus*(OrtSessionOptions*, OrtCustomOpDomain*)>;
using GetTensorMutableData = Slot<51, OrtStatus*(OrtValue*, void**)>;
using GetTensorElementType = Slot<60, OrtStatus*(const OrtTensorTypeAndShapeInfo*, int*)>;
using GetDimensionsCount = Slot<61, OrtStatus*(const OrtTensorTypeAndShapeInfo*, size_t*)>;
using GetDimensions = Slot<62, OrtStatus*(const OrtTensorTypeAndShapeInfo*, int64_t*, size_t)>;
using GetTensorTypeAndShape = Slot<65, OrtStatus*(const OrtValue*, OrtTensorTypeAndShapeInfo**)>;
using KernelInfoGetAttribute_int64 = Slot<86, OrtStatus*(const OrtKernelInfo*, const char*, int64_t*)>;
using KernelContext_GetInput = Slot<90, OrtStatus*(const OrtKernelContext*, size_t, const OrtValue**)>;
using KernelContext_GetOutput = Slot<91, OrtStatus*(OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**)>;
using ReleaseStatus = Slot<93, void(OrtStatus*)>;
using ReleaseTensorTypeAndShapeInfo = Slot<99, void(OrtTensorTypeAndShapeInfo*)>;
using KernelInfoGetAttributeArray_int64 = Slot<163, OrtStatus*(const OrtKernelInfo*, const char*, int64_t*, size_t*)>;
using KernelInfo_GetNodeName = Slot<244, OrtStatus*(const OrtKernelInfo*, char*, size_t*)>;
using KernelInfoGetConstantInput_tensor = Slot<249, OrtStatus*(const OrtKernelInfo*, size_t, int*, const OrtValue**)>;
using KernelContext_ParallelFor = Slot<274, OrtStatus*(const OrtKernelContext*, void (*)(void*, size_t), size_t, size_t, void*)>;

// What an operator tells onnxruntime about itself.
struct OrtCustomOp {
  uint32_t version;
  void* (*CreateKernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
  const char* (*GetName)(const OrtCustomOp*);
  const char* (*GetExecutionProviderType)(const OrtCustomOp*);
  int (*GetInputType)(const OrtCustomOp*, size_t);
  size_t (*GetInputTypeCount)(const OrtCustomOp*);
  int (*GetOutputType)(const OrtCustomOp*, size_t);
  size_t (*GetOutputTypeCount)(const OrtCustomOp*);
  void (*KernelCompute)(void*, OrtKernelContext*);
  void (*KernelDestroy)(void*);
  int (*GetInputCharacteristic)(const OrtCustomOp*, size_t);
  int (*GetOutputCharacteristic)(const OrtCustomOp*, size_t);
  int (*GetInputMemoryType)(const OrtCustomOp*, size_t);
  int (*GetVariadicInputMinArity)(const OrtCustomOp*);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp*);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp*);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp*);
  OrtStatus* (*CreateKernelV2)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void**);
  OrtStatus* (*KernelComputeV2)(void*, OrtKernelContext*);
  OrtStatus* (*InferOutputShapeFn)(const OrtCustomOp*, OrtShapeInferContext*);
  int (*GetStartVersion)(const OrtCustomOp*);
  int (*GetEndVersion)(const OrtCustomOp*);
  size_t (*GetMayInplace)(int**, int**);
  void (*ReleaseMayInplace)(int*, int*);
  size_t (*GetAliasMap)(int**, int**);
  void (*ReleaseAliasMap)(int*, int*);
};

static_assert(sizeof(void*) == 8, "the layout is that of 64-bit platforms");
static_assert(offsetof(OrtCustomOp, CreateKernel) == 8 && offsetof(OrtCustomOp, GetName) == 16, "layout");
static_assert(offsetof(OrtCustomOp, GetExecutionProviderType) == 24 && offsetof(OrtCustomOp, GetInputType) == 32, "layout");
static_assert(offsetof(OrtCustomOp, GetInputTypeCount) == 40 && offsetof(OrtCustomOp, GetOutputType) == 48, "layout");
static_assert(offsetof(OrtCustomOp, GetOutputTypeCount) == 56 && offsetof(OrtCustomOp, KernelCompute) == 64, "layout");
static_assert(offsetof(OrtCustomOp, KernelDestroy) == 72 && offsetof(OrtCustomOp, GetInputCharacteristic) == 80, "layout");
static_assert(offsetof(OrtCustomOp, GetOutputCharacteristic) == 88 && offsetof(OrtCustomOp, GetInputMemoryType) == 96, "layout");
static_assert(offsetof(OrtCustomOp, GetVariadicInputMinArity) == 104, "layout");
static_assert(offsetof(OrtCustomOp, GetVariadicInputHomogeneity) == 112, "layout");
static_assert(offsetof(OrtCustomOp, GetVariadicOutputMinArity) == 120, "layout");
static_assert(offsetof(OrtCustomOp, GetVariadicOutputHomogeneity) == 128, "layout");
static_assert(offsetof(OrtCustomOp, CreateKernelV2) == 136 && offsetof(OrtCustomOp, KernelComputeV2) == 144, "layout");
static_assert(offsetof(OrtCustomOp, InferOutputShapeFn) == 152 && offsetof(OrtCustomOp, GetStartVersion) == 160, "layout");
static_assert(offsetof(OrtCustomOp, GetEndVersion) == 168 && offsetof(OrtCustomOp, GetMayInplace) == 176, "layout");
static_assert(offsetof(OrtCustomOp, ReleaseMayInplace) == 184 && offsetof(OrtCustomOp, GetAliasMap) == 192, "layout");
static_assert(offsetof(OrtCustomOp, ReleaseAliasMap) == 200 && sizeof(OrtCustomOp) == 208, "layout");

}  // namespace ort
}  // namespace bnn
