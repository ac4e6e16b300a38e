#include "node/program.h"

#include <chrono>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "node/args.h"

namespace bnn_node {
namespace {

constexpr napi_type_tag kProgramTag = {0x62b1d0c5a3f94e17, 0x9c5d21f07e8b4a36};
constexpr const char* kBuffers = "buffers";

std::unordered_map<std::string, Function>& kernels() {
  static auto* table = new std::unordered_map<std::string, Function>();
  return *table;
}

struct Call {
  Function function;
  size_t first, count;  // of its arguments
};
// An argument that each run sets: the number or the array at `source`.
struct Varying {
  size_t argument, source;
};
struct Program {
  std::vector<Recorded> arguments;
  std::deque<std::vector<int32_t>> ints;
  std::vector<Call> calls;
  std::vector<Varying> numbers, inputs;
  // Bytes of each of the buffers that arrays lie in, from its start.
  std::vector<size_t> reach;
  bool is_running = false;
};

// Which calls, and how long each took where that is asked for.
struct Span {
  Program* program;
  size_t begin, end;
  double* milliseconds;
};

void make_calls(const Span& span) {
  for (size_t i = span.begin; i < span.end; i++) {
    const Call& call = span.program->calls[i];
    Args args(span.program->arguments.data() + call.first, call.count);
    const KernelLock lock;
    const auto before = std::chrono::steady_clock::now();
    call.function(args);
    if (span.milliseconds == nullptr) continue;
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - before;
    span.milliseconds[i - span.begin] = taken.count();
  }
}

// Reads the calls that JavaScript hands over.
class Reader {
 public:
  Reader(napi_env env, Program* program) : env_(env), program_(program) { napi_create_array(env, &buffers_); }

  // Each [name, ...arguments].
  void read(napi_value calls) {
    const uint32_t count = length_of(calls);
    for (uint32_t i = 0; i < count; i++) {
      napi_value call = nullptr;
      napi_get_element(env_, calls, i, &call);
      read_call(call);
    }
  }
  // ArrayBuffers that must stay as long as the program.
  napi_value buffers() const { return buffers_; }

 private:
  uint32_t length_of(napi_value array) {
    uint32_t length = 0;
    bool is_array = false;
    if (napi_is_array(env_, array, &is_array) != napi_ok || !is_array || napi_get_array_length(env_, array, &length) != napi_ok) {
      fail("the calls of a program are not arrays");
    }
    return length;
  }
  void read_call(napi_value call) {
    const uint32_t length = length_of(call);
    napi_value element = nullptr;
    std::string name;
    if (length == 0 || napi_get_element(env_, call, 0, &element) != napi_ok || !bnn_node_api::read_text(env_, element, &name)) {
      fail("a call of a program has no name");
    }
    const auto found = kernels().find(name);
    if (found == kernels().end()) fail("there is no kernel '" + name + "'");
    if (length - 1 > Args::kMost) fail("a call of '" + name + "' has too many arguments");
    program_->calls.push_back({found->second, program_->arguments.size(), length - 1});
    for (uint32_t i = 1; i < length; i++) {
      napi_get_element(env_, call, i, &element);
      program_->arguments.push_back(read_argument(name, element));
    }
  }
  Recorded read_argument(const std::string& name, napi_value value) {
    double number = 0.0;
    bool flag = false;
    bnn_node_api::TypedArray array;
    switch (bnn_node_api::type_of(env_, value)) {
      case napi_null: return {Recorded::Kind::kNull, 0.0, nullptr, 0};
      case napi_number: napi_get_value_double(env_, value, &number); return {Recorded::Kind::kNumber, number, nullptr, 0};
      case napi_boolean: napi_get_value_bool(env_, value, &flag); return {Recorded::Kind::kFlag, flag ? 1.0 : 0.0, nullptr, 0};
      default: break;
    }
    if (bnn_node_api::read_typed_array(env_, value, &array)) return read_array(name, value, array);
    return read_varying(name, value);
  }
  Recorded read_array(const std::string& name, napi_value value, const bnn_node_api::TypedArray& array) {
    const auto count = static_cast<int64_t>(array.count);
    if (array.type == napi_int32_array) {
      const auto* data = static_cast<const int32_t*>(array.data);
      program_->ints.emplace_back(data, data + count);
      return {Recorded::Kind::kInts, 0.0, program_->ints.back().data(), count};
    }
    if (array.type != napi_float32_array) fail("an array of a recorded '" + name + "' is neither of floats nor of integers");
    keep(value, array);
    return {Recorded::Kind::kFloats, 0.0, array.data, count};
  }
  // {number: index} or {input: index, length}.
  Recorded read_varying(const std::string& name, napi_value value) {
    const size_t argument = program_->arguments.size();
    double index = 0.0, length = 0.0;
    if (property(value, "number", &index)) {
      program_->numbers.push_back({argument, static_cast<size_t>(index)});
      return {Recorded::Kind::kNumber, 0.0, nullptr, 0};
    }
    if (property(value, "input", &index) && property(value, "length", &length)) {
      program_->inputs.push_back({argument, static_cast<size_t>(index)});
      return {Recorded::Kind::kFloats, 0.0, nullptr, static_cast<int64_t>(length)};
    }
    fail("an argument of a recorded '" + name + "' cannot be recorded");
  }
  bool property(napi_value object, const char* name, double* number) {
    napi_value found = nullptr;
    if (bnn_node_api::type_of(env_, object) != napi_object || napi_get_named_property(env_, object, name, &found) != napi_ok)
      return false;
    return napi_get_value_double(env_, found, number) == napi_ok && *number >= 0.0 && *number < 1e15;
  }
  void keep(napi_value value, const bnn_node_api::TypedArray& array) {
    napi_value buffer = nullptr;
    size_t offset = 0;
    napi_get_typedarray_info(env_, value, nullptr, nullptr, nullptr, &buffer, &offset);
    const char* const start = static_cast<const char*>(array.data) - offset;
    const size_t reach = offset + array.count * sizeof(float);
    const auto [place, is_new] = places_.emplace(start, program_->reach.size());
    if (is_new) {
      napi_set_element(env_, buffers_, static_cast<uint32_t>(program_->reach.size()), buffer);
      program_->reach.push_back(reach);
    } else {
      program_->reach[place->second] = std::max(program_->reach[place->second], reach);
    }
  }

  napi_env env_;
  Program* program_;
  napi_value buffers_ = nullptr;
  std::unordered_map<const char*, size_t> places_;
};

// createProgram(calls): the object that the other functions take. It keeps the memory of its arrays.
napi_value create(Args& args) {
  const napi_env env = args.env();
  auto program = std::make_unique<Program>();
  Reader reader(env, program.get());
  reader.read(args.value(0));
  napi_value object = nullptr;
  napi_create_object(env, &object);
  // Out of reach of assignments, so that nobody lets go of the memory.
  const napi_property_descriptor buffers = {kBuffers, nullptr, nullptr, nullptr, nullptr, reader.buffers(), napi_default, nullptr};
  napi_define_properties(env, object, 1, &buffers);
  napi_object_freeze(env, reader.buffers());
  const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Program*>(data); };
  if (napi_type_tag_object(env, object, &kProgramTag) != napi_ok ||
      napi_wrap(env, object, program.get(), destroy, nullptr, nullptr) != napi_ok) {
    fail("cannot make a program");
  }
  program.release();
  return object;
}

// The program of argument 0, unless some of its memory is gone.
Program* program_of(const Args& args) {
  const napi_env env = args.env();
  bool is_program = false;
  void* data = nullptr;
  if (napi_check_object_type_tag(env, args.value(0), &kProgramTag, &is_program) != napi_ok || !is_program ||
      napi_unwrap(env, args.value(0), &data) != napi_ok) {
    fail("argument 0 is no program");
  }
  auto* program = static_cast<Program*>(data);
  if (program->is_running) fail("the program is running");
  napi_value buffers = nullptr;
  napi_get_named_property(env, args.value(0), kBuffers, &buffers);
  for (uint32_t i = 0; i < program->reach.size(); i++) {
    napi_value buffer = nullptr;
    void* start = nullptr;
    size_t bytes = 0;
    napi_get_element(env, buffers, i, &buffer);
    // Shared buffers, which this does not know, never shrink.
    if (napi_get_arraybuffer_info(env, buffer, &start, &bytes) == napi_ok && bytes < program->reach[i]) {
      fail("memory of the program is gone");
    }
  }
  return program;
}

// Sets what varies, from the arrays of arguments 3 and 4.
void set_varying(const Args& args, Program* program) {
  const napi_env env = args.env();
  const auto element = [&](size_t array, size_t index) {
    napi_value value = nullptr;
    if (napi_get_element(env, args.value(array), static_cast<uint32_t>(index), &value) != napi_ok) {
      fail("argument " + std::to_string(array) + " is not an array");
    }
    return value;
  };
  for (const Varying& number : program->numbers) {
    if (napi_get_value_double(env, element(3, number.source), &program->arguments[number.argument].number) != napi_ok) {
      fail("number " + std::to_string(number.source) + " of a program is missing");
    }
  }
  for (const Varying& input : program->inputs) {
    Recorded& argument = program->arguments[input.argument];
    bnn_node_api::TypedArray array;
    const std::string name = "input " + std::to_string(input.source) + " of a program";
    if (!bnn_node_api::read_typed_array(env, element(4, input.source), &array) || array.type != napi_float32_array) {
      fail(name + " is not a Float32Array");
    }
    if (static_cast<int64_t>(array.count) != argument.count) {
      fail(name + " has " + std::to_string(array.count) + " elements, expected " + std::to_string(argument.count));
    }
    argument.data = array.data;
  }
}

Span span_of(const Args& args) {
  Program* program = program_of(args);
  const auto count = static_cast<int64_t>(program->calls.size());
  const int64_t end = args.integer(2, 0, count);
  Span span{program, static_cast<size_t>(args.integer(1, 0, end)), static_cast<size_t>(end), nullptr};
  if (!args.is_null(5)) {
    bnn_node_api::TypedArray array;
    if (!bnn_node_api::read_typed_array(args.env(), args.value(5), &array) || array.type != napi_float64_array ||
        array.count != span.end - span.begin) {
      fail("argument 5 is not a Float64Array with a number for each call");
    }
    span.milliseconds = static_cast<double*>(array.data);
  }
  set_varying(args, program);
  return span;
}

// callProgram(program, begin, end, numbers, inputs, milliseconds: Float64Array | null): makes some of its calls.
napi_value call_now(Args& args) {
  make_calls(span_of(args));
  return nullptr;
}

// Calls that are made on another thread while JavaScript goes on.
struct Run {
  Span span;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
  napi_ref kept = nullptr;
  std::string problem;
  bool is_out_of_memory = false;
};

void execute(napi_env, void* data) {
  Run& run = *static_cast<Run*>(data);
  try {
    make_calls(run.span);
  } catch (const ArgumentError& error) {
    run.problem = error.message;
  } catch (const std::bad_alloc&) {
    run.is_out_of_memory = true;
  }
}

void complete(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<Run> run(static_cast<Run*>(data));
  run->span.program->is_running = false;
  if (status == napi_cancelled) run->problem = "cancelled";
  napi_value outcome = nullptr;
  if (run->problem.empty() && !run->is_out_of_memory) {
    napi_get_undefined(env, &outcome);
    napi_resolve_deferred(env, run->deferred, outcome);
  } else {
    const napi_value text = bnn_node_api::new_text(env, run->is_out_of_memory ? kOutOfMemory : run->problem);
    if (run->is_out_of_memory) {
      napi_create_error(env, nullptr, text, &outcome);
    } else {
      napi_create_range_error(env, nullptr, text, &outcome);
    }
    napi_reject_deferred(env, run->deferred, outcome);
  }
  napi_delete_reference(env, run->kept);
  napi_delete_async_work(env, run->work);
}

// runProgram(program, begin, end, numbers, inputs, milliseconds): a promise of the same calls. Until it is settled nobody may write to their arrays, take
// their memory away or transfer it.
napi_value run_elsewhere(Args& args) {
  const napi_env env = args.env();
  auto run = std::make_unique<Run>();
  run->span = span_of(args);
  // An object that holds the program, the inputs and the times.
  napi_value kept = nullptr, name = nullptr, promise = nullptr;
  napi_create_array_with_length(env, 3, &kept);
  napi_set_element(env, kept, 0, args.value(0));
  napi_set_element(env, kept, 2, args.value(5));
  napi_value inputs = nullptr;
  napi_create_array(env, &inputs);
  uint32_t next = 0;
  for (const Varying& input : run->span.program->inputs) {
    napi_value element = nullptr;
    napi_get_element(env, args.value(4), static_cast<uint32_t>(input.source), &element);
    napi_set_element(env, inputs, next++, element);
  }
  napi_set_element(env, kept, 1, inputs);
  napi_create_string_utf8(env, "bnn:program", NAPI_AUTO_LENGTH, &name);
  if (napi_create_reference(env, kept, 1, &run->kept) != napi_ok || napi_create_promise(env, &run->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, nullptr, name, execute, complete, run.get(), &run->work) != napi_ok ||
      napi_queue_async_work(env, run->work) != napi_ok) {
    fail("cannot run the program on another thread");
  }
  run->span.program->is_running = true;
  run.release();
  return promise;
}

// As `call`, without the lock that each of the kernels takes.
template <Function kFunction>
napi_value unlocked(napi_env env, napi_callback_info info) {
  return guarded(env, info, [](Args& args) { return kFunction(args); });
}

}  // namespace

void define(napi_env env, napi_value exports, const char* name, const Method& method) {
  {
    const KernelLock lock;
    kernels().emplace(name, method.function);
  }
  bnn_node_api::define(env, exports, name, method.callback);
}

void define_programs(napi_env env, napi_value exports) {
  bnn_node_api::define(env, exports, "createProgram", call<create>);
  bnn_node_api::define(env, exports, "callProgram", unlocked<call_now>);
  bnn_node_api::define(env, exports, "runProgram", unlocked<run_elsewhere>);
}

}  // namespace bnn_node
