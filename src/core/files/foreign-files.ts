// biome-ignore-all lint/suspicious/noControlCharactersInRegex: the first bytes of files are what the expressions are for.
/** Files that are met instead of networks, and what to do with them. */

export interface ForeignFile {
  /** Goes behind "this is". */
  readonly what: string;
  readonly hint: string;
}

type Row = readonly [pattern: RegExp, what: string, hint: string];

const UNPACK = 'unpack it, and give the file of the network that is in it';
const EXPORT = 'export the network to ONNX with the tools of its framework, or save its weights as safetensors';
const TENSORFLOW =
  'write an ONNX file with tf2onnx (python -m tf2onnx.convert), or the weights with Keras: model.save_weights("net.weights.h5")';
const PICTURE = 'give the file of a network';

/** Of the first bytes, one character for each. */
const BINARY: readonly Row[] = [
  [/^\x1f\x8b/, 'a gzip archive', `gunzip it; if it is a tar archive then, ${UNPACK}`],
  [/^(BZh\d1AY|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a)/, 'a compressed archive', UNPACK],
  [
    /^(sys_info|pickle|storages|tensors)\x00.{248,}?ustar/s,
    'a checkpoint of a PyTorch of 2016 (a tar archive)',
    'in Python, torch.save(torch.load(path), "net.pt") with a PyTorch that still loads it',
  ],
  [/^.{257}ustar/s, 'a tar archive', UNPACK],
  [
    /^.{4}TFL3/s,
    'a file of TensorFlow Lite',
    'write an ONNX file with tf2onnx (python -m tf2onnx.convert --tflite FILE)',
  ],
  [/^.{4}ORTM/s, "a file in onnxruntime's own format (.ort)", 'give the .onnx file that it was made of'],
  [/^\x93NUMPY/, 'a NumPy array (.npy)', 'in Python, safetensors.numpy.save_file({"name": array}, "net.safetensors")'],
  [/^MATLAB [\d.]+ MAT-file/, 'a file of MATLAB', EXPORT],
  [/^GGUF/, 'a GGUF file', EXPORT],
  [/^\x12\x01\x00\x00\x00\x00\x00\x00/, 'a file of parameters of MXNet', EXPORT],
  // SavedModel: schema version 1, then a graph, which is long; the name of a producer in ONNX is not.
  [/^\x08\x01\x12[\x80-\xff]/, 'a SavedModel of TensorFlow', TENSORFLOW],
  // GraphDef: nodes, each with a name and an operator.
  [/^\x0a.{1,3}\x0a.{1,64}?\x12.(Placeholder|Const|NoOp|VarHandleOp)/s, 'a graph of TensorFlow', TENSORFLOW],
  [/^\x89PNG|^\xff\xd8\xff|^GIF8|^RIFF.{4}WEBP|^BM.{4}\x00{4}/s, 'a picture', PICTURE],
  [/^%PDF/, 'a PDF document', PICTURE],
  [
    /^\x00\x05\x16\x07/,
    'what macOS keeps beside a file (AppleDouble)',
    'give the file itself, whose name does not begin with ._',
  ],
  [/^(\x7fELF|MZ.{62})/s, 'a program or library', PICTURE],
  [/^SQLite format 3\x00/, 'a database', PICTURE],
  [/^\x00+$/, 'a file that begins with nothing but zeros', 'it was not downloaded completely: fetch it again'],
];

const TEXT: readonly Row[] = [
  [
    /^version https:\/\/git-lfs/,
    'a pointer of Git LFS, not the file itself',
    'fetch the file: git lfs pull in the repository, or its download link in a browser',
  ],
  [
    /^\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|script|meta)\b/is,
    'an HTML page, not the file itself',
    'the server answered with a page: open the address in a browser, and download the file from there',
  ],
  [
    /^\s*<\?xml.*<(?:Error|Code|ListBucketResult)\b/s,
    'the answer of a server (XML), not the file itself',
    'check the address, and download the file again',
  ],
  [/^\s*(?:<\?xml.*)?<net\b/s, 'a network of OpenVINO (XML)', 'give the ONNX file that it was made of'],
  [/^\s*<\?xml|^\s*<svg/, 'an XML file', PICTURE],
  [/^\s*\{.*"weight_map"/s, 'the index of several safetensors files', 'give the .safetensors file itself'],
  [
    /^\s*\{.*"(?:weightsManifest|modelTopology|layers-model)"/s,
    'a network of TensorFlow.js',
    'in Python, tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras model.json net.h5',
  ],
  [
    /^\s*\{.*"class_name"\s*:/s,
    'the architecture of a Keras network without its weights (JSON)',
    'give its weights (.h5 or .keras), and its layers by --mapping',
  ],
  [/^\s*\{.*"layers"\s*:.*"op"\s*:/s, 'a mapping (JSON)', 'give the checkpoint, and this file by --mapping'],
  [
    /^\s*\{\s*"__schema__"|^\s*\{.*"(?:message|error|detail|errors)"\s*:/is,
    'the answer of a server (JSON), not the file itself',
    'check the address, and download the file again',
  ],
  [/^\s*[{[]/, 'a JSON file', 'give the file of a network'],
  [/^model_checkpoint_path:/, 'the index of checkpoints of TensorFlow', TENSORFLOW],
  [
    /^\s*(?:ir_version:|node\s*\{|graph\s*\{|name:\s*")/,
    'a network as text (protobuf)',
    'write it as a binary file: in Python, onnx.save(model, "net.onnx")',
  ],
  [
    /^\s*<\s*ir_version\s*:/,
    'a network as text (ONNX)',
    'write it as a binary file: in Python, onnx.save(onnx.parser.parse_model(text), "net.onnx")',
  ],
  [/^(?:#!|import |from \w|"""|# )/, 'a program in Python, or a script', 'give the file of weights that it writes'],
  [/^/, 'a text file', 'check that the file was copied or downloaded completely'],
];

/** @param head  the first bytes, one character for each; undefined for what is none of these. */
export function foreignBinary(head: string): ForeignFile | undefined {
  return find(BINARY, head);
}

/** @param head  the beginning of a file that is text. */
export function foreignText(head: string): ForeignFile | undefined {
  return find(TEXT, head.replace(/^\xef\xbb\xbf/, ''));
}

function find(rows: readonly Row[], head: string): ForeignFile | undefined {
  const row = rows.find(([pattern]) => pattern.test(head));
  return row && { what: row[1], hint: row[2] };
}
