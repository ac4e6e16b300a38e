/** `protobufjs/minimal.js` without what writes and calls: what `bnn-toolchain/web` has in its place (`build-web.mjs`). */

import Reader from 'protobufjs/src/reader.js';
import BufferReader from 'protobufjs/src/reader_buffer.js';
import util from 'protobufjs/src/util/minimal.js';

util.LongBits._configure(util.Long);
Reader._configure(BufferReader);

export default { Reader, util, roots: {} };
