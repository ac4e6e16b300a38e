// The part of onnxruntime's C interface that a session needs, beside what ort/abi.h declares for operators.
//
// Names are onnxruntime's.
#pragma once

#include "node_ort/library.h"
#include "ort/abi.h"

namespace ort_abi {

using namespace bnn::ort;
using bnn_ort::PathChar;

struct OrtEnv;
struct OrtSession;
struct OrtRunOptions;
struct OrtAllocator;
struct OrtMemoryInfo;
struct OrtTypeInfo;

// The numbers of the ONNX standard, which onnxruntime uses too. Not an enum: a model may have other ones.
using Element = int;
constexpr Element kNoElement = 0, kFloat32 = 1, kUint8Element = 2, kInt8 = 3, kUint16 = 4, kInt16 = 5, kInt32 = 6, kInt64 = 7,
                  kBool = 9, kFloat16 = 10, kFloat64 = 11, kUint32 = 12, kUint64 = 13, kBfloat16 = 16;

constexpr int kLogFatal = 4;
constexpr int kOptimizeAll = 99;
constexpr int kArenaAllocator = 1;

// Environment, options, session.
using CreateEnv = Slot<3, OrtStatus*(int, const char*, OrtEnv**)>;
using CreateSession = Slot<7, OrtStatus*(const OrtEnv*, const PathChar*, const OrtSessionOptions*, OrtSession**)>;
using CreateSessionFromArray = Slot<8, OrtStatus*(const OrtEnv*, const void*, size_t, const OrtSessionOptions*, OrtSession**)>;
using Run = Slot<9, OrtStatus*(OrtSession*, const OrtRunOptions*, const char* const*, const OrtValue* const*, size_t,
                               const char* const*, size_t, OrtValue**)>;
using ReleaseSession = Slot<95, void(OrtSession*)>;
using CreateSessionOptions = Slot<10, OrtStatus*(OrtSessionOptions**)>;
using EnableProfiling = Slot<14, OrtStatus*(OrtSessionOptions*, const PathChar*)>;
using SetSessionLogSeverityLevel = Slot<22, OrtStatus*(OrtSessionOptions*, int)>;
using SetSessionGraphOptimizationLevel = Slot<23, OrtStatus*(OrtSessionOptions*, int)>;
using SetIntraOpNumThreads = Slot<24, OrtStatus*(OrtSessionOptions*, int)>;
using SetInterOpNumThreads = Slot<25, OrtStatus*(OrtSessionOptions*, int)>;
using AddSessionConfigEntry = Slot<130, OrtStatus*(OrtSessionOptions*, const char*, const char*)>;
using RegisterCustomOpsLibrary_V2 = Slot<228, OrtStatus*(OrtSessionOptions*, const PathChar*)>;
using ReleaseSessionOptions = Slot<100, void(OrtSessionOptions*)>;
using SessionEndProfiling = Slot<110, OrtStatus*(OrtSession*, OrtAllocator*, char**)>;

// What a model takes and gives.
using SessionGetInputCount = Slot<30, OrtStatus*(const OrtSession*, size_t*)>;
using SessionGetOutputCount = Slot<31, OrtStatus*(const OrtSession*, size_t*)>;
using SessionGetInputTypeInfo = Slot<33, OrtStatus*(const OrtSession*, size_t, OrtTypeInfo**)>;
using SessionGetOutputTypeInfo = Slot<34, OrtStatus*(const OrtSession*, size_t, OrtTypeInfo**)>;
using SessionGetInputName = Slot<36, OrtStatus*(const OrtSession*, size_t, OrtAllocator*, char**)>;
using SessionGetOutputName = Slot<37, OrtStatus*(const OrtSession*, size_t, OrtAllocator*, char**)>;
using CastTypeInfoToTensorInfo = Slot<55, OrtStatus*(const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**)>;
using GetSymbolicDimensions = Slot<63, OrtStatus*(const OrtTensorTypeAndShapeInfo*, const char**, size_t)>;
using ReleaseTypeInfo = Slot<98, void(OrtTypeInfo*)>;

// Tensors and memory.
using CreateTensorWithDataAsOrtValue =
    Slot<49, OrtStatus*(const OrtMemoryInfo*, void*, size_t, const int64_t*, size_t, Element, OrtValue**)>;
using ReleaseValue = Slot<96, void(OrtValue*)>;
using CreateCpuMemoryInfo = Slot<69, OrtStatus*(int, int, OrtMemoryInfo**)>;
using AllocatorFree = Slot<76, OrtStatus*(OrtAllocator*, void*)>;
using GetAllocatorWithDefaultOptions = Slot<78, OrtStatus*(OrtAllocator**)>;

}  // namespace ort_abi
