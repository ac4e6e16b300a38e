// The part of onnxruntime's C interface that this project calls, declared from the facts of its ABI: `OrtApi` is a table of function
// pointers that only grows at its end, so the index of a function is the same in every release. No onnxruntime header is needed.
//
//     const ort_abi::OrtApi* api = ort_abi::get_api(base);
//     OrtStatus* status = ort_abi::CreateEnv(api, ort_abi::kLogFatal, "bnn", &env);      // null means success
//
// Everything here is plain calls through the table; ownership is the caller's business. Names and parameters are onnxruntime's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ort_abi {

struct OrtStatus;
struct OrtEnv;
struct OrtSession;
struct OrtSessionOptions;
struct OrtRunOptions;
struct OrtAllocator;
struct OrtMemoryInfo;
struct OrtValue;
struct OrtTypeInfo;
struct OrtTensorTypeAndShapeInfo;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtShapeInferContext;
struct OrtOpAttr;
struct OrtCustomOp;

// Opaque: read through Call and Release below.
struct OrtApi {
  void* slots[1];
};

struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

// The newest version whose functions are used here, and the oldest that has all that a session needs.
constexpr uint32_t kApiVersion = 22;
constexpr uint32_t kOldestApiVersion = 17;

// onnxruntime answers null (and complains on stderr) for a version that it is too old for.
inline const OrtApi* get_api(const OrtApiBase* base, uint32_t* version = nullptr) {
  for (uint32_t v = kApiVersion; v >= kOldestApiVersion; v--) {
    const OrtApi* api = base->GetApi(v);
    if (api == nullptr) continue;
    if (version != nullptr) *version = v;
    return api;
  }
  return nullptr;
}

enum ErrorCode : int32_t { kOk = 0, kFail = 1, kInvalidArgument = 2 };
enum LoggingLevel : int32_t { kLogVerbose = 0, kLogInfo = 1, kLogWarning = 2, kLogError = 3, kLogFatal = 4 };
enum ElementType : int32_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
};
enum AllocatorType : int32_t { kDeviceAllocator = 0, kArenaAllocator = 1 };
enum MemType : int32_t { kMemDefault = 0, kMemCpuOutput = -1, kMemCpuInput = -2 };
enum OptimizationLevel : int32_t { kOptimizeNone = 0, kOptimizeBasic = 1, kOptimizeExtended = 2, kOptimizeAll = 99 };
enum Characteristic : int32_t { kRequired = 0, kOptional = 1, kVariadic = 2 };

// A function of the table that returns a status.
template <size_t kIndex, typename... Args>
struct Call {
  OrtStatus* operator()(const OrtApi* api, Args... args) const {
    return reinterpret_cast<OrtStatus* (*)(Args...)>(api->slots[kIndex])(args...);
  }
};

// A function of the table that returns something else.
template <size_t kIndex, typename Result, typename... Args>
struct Get {
  Result operator()(const OrtApi* api, Args... args) const {
    return reinterpret_cast<Result (*)(Args...)>(api->slots[kIndex])(args...);
  }
};

template <size_t kIndex, typename Object>
using Release = Get<kIndex, void, Object*>;

// Status.
constexpr Get<0, OrtStatus*, ErrorCode, const char*> CreateStatus{};
constexpr Get<1, ErrorCode, const OrtStatus*> GetErrorCode{};
constexpr Get<2, const char*, const OrtStatus*> GetErrorMessage{};
constexpr Release<93, OrtStatus> ReleaseStatus{};

// Environment, options, session.
constexpr Call<3, LoggingLevel, const char*, OrtEnv**> CreateEnv{};
constexpr Release<92, OrtEnv> ReleaseEnv{};
constexpr Call<7, const OrtEnv*, const char*, const OrtSessionOptions*, OrtSession**> CreateSession{};
constexpr Call<8, const OrtEnv*, const void*, size_t, const OrtSessionOptions*, OrtSession**> CreateSessionFromArray{};
constexpr Call<9, OrtSession*, const OrtRunOptions*, const char* const*, const OrtValue* const*, size_t, const char* const*, size_t,
               OrtValue**>
    Run{};
constexpr Release<95, OrtSession> ReleaseSession{};
constexpr Call<10, OrtSessionOptions**> CreateSessionOptions{};
constexpr Call<14, OrtSessionOptions*, const char*> EnableProfiling{};
constexpr Call<22, OrtSessionOptions*, int> SetSessionLogSeverityLevel{};
constexpr Call<23, OrtSessionOptions*, OptimizationLevel> SetSessionGraphOptimizationLevel{};
constexpr Call<24, OrtSessionOptions*, int> SetIntraOpNumThreads{};
constexpr Call<25, OrtSessionOptions*, int> SetInterOpNumThreads{};
constexpr Call<130, OrtSessionOptions*, const char*, const char*> AddSessionConfigEntry{};
constexpr Call<228, OrtSessionOptions*, const char*> RegisterCustomOpsLibraryV2{};
constexpr Release<100, OrtSessionOptions> ReleaseSessionOptions{};
constexpr Call<110, OrtSession*, OrtAllocator*, char**> SessionEndProfiling{};
constexpr Get<254, const char*> GetBuildInfoString{};

// What a model takes and gives.
constexpr Call<30, const OrtSession*, size_t*> SessionGetInputCount{};
constexpr Call<31, const OrtSession*, size_t*> SessionGetOutputCount{};
constexpr Call<33, const OrtSession*, size_t, OrtTypeInfo**> SessionGetInputTypeInfo{};
constexpr Call<34, const OrtSession*, size_t, OrtTypeInfo**> SessionGetOutputTypeInfo{};
constexpr Call<36, const OrtSession*, size_t, OrtAllocator*, char**> SessionGetInputName{};
constexpr Call<37, const OrtSession*, size_t, OrtAllocator*, char**> SessionGetOutputName{};
constexpr Call<55, const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**> CastTypeInfoToTensorInfo{};
constexpr Release<98, OrtTypeInfo> ReleaseTypeInfo{};

// Tensors.
constexpr Call<49, const OrtMemoryInfo*, void*, size_t, const int64_t*, size_t, ElementType, OrtValue**>
    CreateTensorWithDataAsOrtValue{};
constexpr Call<51, OrtValue*, void**> GetTensorMutableData{};
constexpr Release<96, OrtValue> ReleaseValue{};
constexpr Call<65, const OrtValue*, OrtTensorTypeAndShapeInfo**> GetTensorTypeAndShape{};
constexpr Call<60, const OrtTensorTypeAndShapeInfo*, ElementType*> GetTensorElementType{};
constexpr Call<61, const OrtTensorTypeAndShapeInfo*, size_t*> GetDimensionsCount{};
constexpr Call<62, const OrtTensorTypeAndShapeInfo*, int64_t*, size_t> GetDimensions{};
constexpr Call<63, const OrtTensorTypeAndShapeInfo*, const char**, size_t> GetSymbolicDimensions{};
constexpr Call<64, const OrtTensorTypeAndShapeInfo*, size_t*> GetTensorShapeElementCount{};
constexpr Release<99, OrtTensorTypeAndShapeInfo> ReleaseTensorTypeAndShapeInfo{};

// Memory.
constexpr Call<69, AllocatorType, MemType, OrtMemoryInfo**> CreateCpuMemoryInfo{};
constexpr Release<94, OrtMemoryInfo> ReleaseMemoryInfo{};
constexpr Call<76, OrtAllocator*, void*> AllocatorFree{};
constexpr Call<78, OrtAllocator**> GetAllocatorWithDefaultOptions{};

// Custom operators: registration.
constexpr Call<26, const char*, OrtCustomOpDomain**> CreateCustomOpDomain{};
constexpr Call<27, OrtCustomOpDomain*, const OrtCustomOp*> CustomOpDomain_Add{};
constexpr Call<28, OrtSessionOptions*, OrtCustomOpDomain*> AddCustomOpDomain{};
constexpr Release<101, OrtCustomOpDomain> ReleaseCustomOpDomain{};

// Custom operators: what a kernel learns when it is made.
constexpr Call<85, const OrtKernelInfo*, const char*, float*> KernelInfoGetAttribute_float{};
constexpr Call<86, const OrtKernelInfo*, const char*, int64_t*> KernelInfoGetAttribute_int64{};
constexpr Call<87, const OrtKernelInfo*, const char*, char*, size_t*> KernelInfoGetAttribute_string{};
constexpr Call<163, const OrtKernelInfo*, const char*, int64_t*, size_t*> KernelInfoGetAttributeArray_int64{};
constexpr Call<234, const OrtKernelInfo*, size_t, OrtTypeInfo**> KernelInfo_GetInputTypeInfo{};
constexpr Call<244, const OrtKernelInfo*, char*, size_t*> KernelInfo_GetNodeName{};
constexpr Call<249, const OrtKernelInfo*, size_t, int*, const OrtValue**> KernelInfoGetConstantInput_tensor{};
constexpr Release<218, OrtKernelInfo> ReleaseKernelInfo{};

// Custom operators: a kernel at work.
constexpr Call<88, const OrtKernelContext*, size_t*> KernelContext_GetInputCount{};
constexpr Call<90, const OrtKernelContext*, size_t, const OrtValue**> KernelContext_GetInput{};
constexpr Call<91, OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**> KernelContext_GetOutput{};
constexpr Call<253, const OrtKernelContext*, const OrtMemoryInfo*, OrtAllocator**> KernelContext_GetAllocator{};
constexpr Call<274, const OrtKernelContext*, void (*)(void*, size_t), size_t, size_t, void*> KernelContext_ParallelFor{};
constexpr Call<277, const OrtKernelContext*, const OrtMemoryInfo*, size_t, void**> KernelContext_GetScratchBuffer{};

// Custom operators: shape inference.
constexpr Call<268, const OrtShapeInferContext*, size_t, OrtTensorTypeAndShapeInfo**> ShapeInferContext_GetInputTypeShape{};
constexpr Call<269, const OrtShapeInferContext*, const char*, const OrtOpAttr**> ShapeInferContext_GetAttribute{};
constexpr Call<270, const OrtShapeInferContext*, size_t, const OrtTensorTypeAndShapeInfo*> ShapeInferContext_SetOutputTypeShape{};
constexpr Call<272, const OrtOpAttr*, int, void*, size_t, size_t*> ReadOpAttr{};

// An operator, as onnxruntime reads it. Members after KernelDestroy are read only when `version` has them.
struct OrtCustomOp {
  uint32_t version;
  void* (*CreateKernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
  const char* (*GetName)(const OrtCustomOp*);
  const char* (*GetExecutionProviderType)(const OrtCustomOp*);
  ElementType (*GetInputType)(const OrtCustomOp*, size_t);
  size_t (*GetInputTypeCount)(const OrtCustomOp*);
  ElementType (*GetOutputType)(const OrtCustomOp*, size_t);
  size_t (*GetOutputTypeCount)(const OrtCustomOp*);
  void (*KernelCompute)(void*, OrtKernelContext*);
  void (*KernelDestroy)(void*);
  Characteristic (*GetInputCharacteristic)(const OrtCustomOp*, size_t);
  Characteristic (*GetOutputCharacteristic)(const OrtCustomOp*, size_t);
  MemType (*GetInputMemoryType)(const OrtCustomOp*, size_t);
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
static_assert(sizeof(void*) != 8 || (sizeof(OrtCustomOp) == 208 && offsetof(OrtCustomOp, CreateKernelV2) == 136),
              "the layout that onnxruntime expects");

}  // namespace ort_abi
