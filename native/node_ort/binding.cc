// The JavaScript side of the addon. Everything slow runs on Node's worker threads and returns a promise; a failure rejects it with
// an Error whose `code` is one of the words in runtime.h. Exceptions stay inside this file.
//
//     open(path)                                      → {version, apiVersion} of that onnxruntime library
//     create(settings)                                → Promise<handle>
//     inputs(handle), outputs(handle)                 → [{name, type, shape}]; a free size is its name, or -1
//     run(handle, names, tensors, outputNames)        → Promise<[{type, shape, data: ArrayBuffer}]>
//     time(handle, names, tensors, outputNames, runs) → Promise<Float64Array> of milliseconds
//     endProfiling(handle)                            → path
//     dispose(handle)                                 → Promise<undefined>
//     startableThreads(count)                         → how many of `count` threads the system would start now
//     popcountRows()                                  → [name]
//     popcountRow(forced)                             → the row in use where BNN_KERNEL is `forced` ("": not set)
//     popcountLimit(row, threads, milliseconds)       → Promise<bits per second>
//
// A tensor is {type: element type of the ONNX standard, shape: [sizes], data: typed array}.
#include "node_ort/napi.h"
#include "node_ort/popcount_limit.h"
#include "node_ort/session.h"
#include "node_ort/startable_threads.h"
#include "simd/isa_names.h"

#include <chrono>
#include <cstring>

namespace bnn_ort {
namespace {

// What a JavaScript handle holds: the session, until it is disposed of. A run in flight holds the session too.
struct Handle {
  std::shared_ptr<Session> session;
};

constexpr napi_type_tag kHandleTag = {0x6a1f0c52b4e84d0bULL, 0x9d3e7a5528c14f96ULL};

Handle& handle_of(const Args& args) {
  bool tagged = false;
  void* handle = nullptr;
  if (napi_check_object_type_tag(args.env(), args[0], &kHandleTag, &tagged) != napi_ok || !tagged ||
      napi_unwrap(args.env(), args[0], &handle) != napi_ok) {
    throw Problem{kUsageProblem, "argument 0 is no session"};
  }
  return *static_cast<Handle*>(handle);
}

std::shared_ptr<Session> session_of(const Args& args) {
  std::shared_ptr<Session> session = handle_of(args).session;
  if (session == nullptr) throw Problem{kRunProblem, "the session has been disposed of"};
  return session;
}

napi_value new_handle(napi_env env, std::shared_ptr<Session> session) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  auto handle = std::make_unique<Handle>(Handle{std::move(session)});
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Handle*>(data); };
  if (napi_type_tag_object(env, object, &kHandleTag) != napi_ok ||
      napi_wrap(env, object, handle.get(), finalize, nullptr, nullptr) != napi_ok) {
    throw Problem{kRuntimeProblem, "Node could not make a handle"};
  }
  handle.release();
  return object;
}

struct CreateTask final : Task {
  Settings settings;
  Bytes model;
  std::shared_ptr<Session> session;

  void execute() override { session = std::make_shared<Session>(settings); }
  napi_value result(napi_env env) override { return new_handle(env, std::move(session)); }
};

napi_value create(const Args& args) {
  auto task = std::make_unique<CreateTask>();
  Settings& s = task->settings;
  const Object options(args.env(), args[0]);
  s.runtime_path = options.text("runtime");
  const napi_value model = options.get("model");
  if (is_string(args.env(), model)) {
    s.path = text_of(args.env(), model);
  } else {
    task->model = bytes_of(args.env(), model);
    s.bytes = task->model.data == nullptr ? static_cast<const void*>("") : task->model.data.get();
    s.byte_count = task->model.count;
  }
  s.ops_library = options.text("opsLibrary", "");
  s.profile_prefix = options.text("profilePrefix", "");
  s.intra_op_threads = options.integer("intraOpThreads", 0);
  s.inter_op_threads = options.integer("interOpThreads", 0);
  s.optimization_level = options.integer("optimizationLevel", ort_abi::kOptimizeAll);
  s.log_severity = options.integer("logSeverity", ort_abi::kLogFatal);
  for (const auto& [key, value] : options.texts("config")) s.config.emplace_back(key, value);
  return Task::start(args.env(), std::move(task));
}

napi_value describe(napi_env env, const std::vector<ValueInfo>& infos) {
  Array array(env);
  for (const ValueInfo& info : infos) {
    Array shape(env);
    for (size_t axis = 0; axis < info.sizes.size(); axis++) {
      const std::string& symbol = info.symbols[axis];
      shape.push(symbol.empty() ? new_number(env, static_cast<double>(info.sizes[axis])) : new_text(env, symbol));
    }
    array.push(new_object(env, {{"name", new_text(env, info.name)}, {"type", new_number(env, info.type)}, {"shape", shape.value()}}));
  }
  return array.value();
}

napi_value inputs(const Args& args) { return describe(args.env(), session_of(args)->inputs()); }
napi_value outputs(const Args& args) { return describe(args.env(), session_of(args)->outputs()); }

napi_value open(const Args& args) {
  const Runtime& runtime = open_runtime(text_of(args.env(), args[0]));
  return new_object(args.env(),
                    {{"version", new_text(args.env(), runtime.version)}, {"apiVersion", new_number(args.env(), runtime.api_version)}});
}

// What run and time have in common.
struct FeedTask : Task {
  std::shared_ptr<Session> session;
  std::vector<std::string> input_names;
  std::vector<TensorView> tensors;
  std::vector<Bytes> elements;  // of the tensors
  std::vector<std::string> output_names;

  void read(const Args& args) {
    session = session_of(args);
    input_names = texts_of(args.env(), args[1]);
    const std::vector<napi_value> feeds = elements_of(args.env(), args[2]);
    if (feeds.size() != input_names.size()) throw Problem{kUsageProblem, "as many tensors as names are needed"};
    for (const napi_value feed : feeds) {
      const Object object(args.env(), feed);
      Bytes bytes = bytes_of(args.env(), object.get("data"));
      TensorView tensor{object.integer("type", 0), bytes.data.get(), bytes.count, {}};
      for (const napi_value size : elements_of(args.env(), object.get("shape"))) {
        tensor.shape.push_back(integer_of(args.env(), size));
      }
      tensors.push_back(std::move(tensor));
      elements.push_back(std::move(bytes));
    }
    output_names = texts_of(args.env(), args[3]);
  }

  std::vector<Value> wrap() const {
    std::vector<Value> values;
    values.reserve(tensors.size());
    for (const TensorView& tensor : tensors) values.push_back(session->wrap(tensor));
    return values;
  }
};

struct RunTask final : FeedTask {
  std::vector<Value> values;
  std::vector<TensorView> views;

  void execute() override {
    values = session->run(input_names, wrap(), output_names);
    for (const Value& value : values) views.push_back(value.view());
  }

  napi_value result(napi_env env) override {
    Array array(env);
    for (const TensorView& view : views) {
      void* data = nullptr;
      napi_value buffer = nullptr;
      if (napi_create_arraybuffer(env, view.byte_count, &data, &buffer) != napi_ok) return nullptr;
      if (view.byte_count > 0) std::memcpy(data, view.data, view.byte_count);
      Array shape(env);
      for (const int64_t size : view.shape) shape.push(new_number(env, static_cast<double>(size)));
      array.push(new_object(env, {{"type", new_number(env, view.type)}, {"shape", shape.value()}, {"data", buffer}}));
    }
    return array.value();
  }
};

napi_value run(const Args& args) {
  auto task = std::make_unique<RunTask>();
  task->read(args);
  return Task::start(args.env(), std::move(task));
}

struct TimeTask final : FeedTask {
  std::vector<double> milliseconds;

  void execute() override {
    const std::vector<Value> values = wrap();
    for (double& elapsed : milliseconds) {
      const auto start = std::chrono::steady_clock::now();
      const std::vector<Value> results = session->run(input_names, values, output_names);
      elapsed = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    }
  }

  napi_value result(napi_env env) override {
    void* data = nullptr;
    napi_value buffer = nullptr;
    napi_value array = nullptr;
    const size_t bytes = milliseconds.size() * sizeof(double);
    if (napi_create_arraybuffer(env, bytes, &data, &buffer) != napi_ok) return nullptr;
    if (bytes > 0) std::memcpy(data, milliseconds.data(), bytes);
    return napi_create_typedarray(env, napi_float64_array, milliseconds.size(), buffer, 0, &array) == napi_ok ? array : nullptr;
  }
};

napi_value time(const Args& args) {
  auto task = std::make_unique<TimeTask>();
  task->read(args);
  const int64_t runs = integer_of(args.env(), args[4]);
  if (runs < 0 || runs > 1'000'000'000) throw Problem{kUsageProblem, std::to_string(runs) + " runs"};
  task->milliseconds.resize(static_cast<size_t>(runs));
  return Task::start(args.env(), std::move(task));
}

napi_value end_profiling(const Args& args) { return new_text(args.env(), session_of(args)->end_profiling()); }

struct DisposeTask final : Task {
  std::shared_ptr<Session> session;

  // Frees the session here, unless a run still holds it.
  void execute() override { session.reset(); }
  napi_value result(napi_env env) override { return undefined(env); }
};

napi_value dispose(const Args& args) {
  auto task = std::make_unique<DisposeTask>();
  task->session = std::move(handle_of(args).session);
  return Task::start(args.env(), std::move(task));
}

napi_value startable_threads(const Args& args) {
  const int64_t count = integer_of(args.env(), args[0]);
  if (count < 0 || count > 1024) throw Problem{kUsageProblem, std::to_string(count) + " threads"};
  return new_number(args.env(), bnn_ort::startable_threads(static_cast<int>(count)));
}

napi_value popcount_rows(const Args& args) {
  Array array(args.env());
  for (const std::string& row : bnn_ort::popcount_rows()) array.push(new_text(args.env(), row));
  return array.value();
}

napi_value popcount_row(const Args& args) {
  const std::string forced = text_of(args.env(), args[0]);
  const std::string row = bnn_ort::popcount_row(forced);
  if (row.empty()) throw Problem{kUsageProblem, "the instruction sets of this processor are " + bnn::available_isas(", ")};
  return new_text(args.env(), row);
}

struct PopcountTask final : Task {
  std::string row;
  int threads = 1;
  double milliseconds = 0;
  double bits_per_second = 0;

  void execute() override { bits_per_second = bnn_ort::popcount_limit(row, threads, milliseconds); }
  napi_value result(napi_env env) override { return new_number(env, bits_per_second); }
};

napi_value popcount_limit(const Args& args) {
  auto task = std::make_unique<PopcountTask>();
  task->row = text_of(args.env(), args[0]);
  const int64_t threads = integer_of(args.env(), args[1]);
  const int64_t milliseconds = integer_of(args.env(), args[2]);
  if (threads < 1 || threads > 1024 || milliseconds < 1) throw Problem{kUsageProblem, "threads or time out of range"};
  task->threads = static_cast<int>(threads);
  task->milliseconds = static_cast<double>(milliseconds);
  return Task::start(args.env(), std::move(task));
}

}  // namespace
}  // namespace bnn_ort

NAPI_MODULE_INIT() {
  using namespace bnn_ort;
  define(env, exports, "open", method<open>);
  define(env, exports, "create", method<create>);
  define(env, exports, "inputs", method<inputs>);
  define(env, exports, "outputs", method<outputs>);
  define(env, exports, "run", method<run>);
  define(env, exports, "time", method<time>);
  define(env, exports, "endProfiling", method<end_profiling>);
  define(env, exports, "dispose", method<dispose>);
  define(env, exports, "startableThreads", method<startable_threads>);
  define(env, exports, "popcountRows", method<popcount_rows>);
  define(env, exports, "popcountRow", method<popcount_row>);
  define(env, exports, "popcountLimit", method<popcount_limit>);
  return exports;
}
