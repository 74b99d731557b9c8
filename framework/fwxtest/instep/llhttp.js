// Reads streams of HTTP/1 with llhttp, the parser of node, in its strict mode. Each line
// of input is a list of streams as JSON, and is answered with a line of what was read in
// each: see stream and reading in llhttp.go.
'use strict';

const { createHash } = require('node:crypto');
const { createInterface } = require('node:readline');
const common = require('_http_common');

const { HTTPParser } = common;
const methods = common.allMethods || common.methods; // the first since node 20

// pairs turns [name, value, name, value] into [[name, value], [name, value]].
function pairs(list) {
  const all = [];
  for (let i = 0; i < list.length; i += 2) all.push([list[i], list[i + 1]]);
  return all;
}

// read returns the messages of a stream. It gives the parser the last byte of each
// message by itself, so that a message ends where the stream says or is seen not to.
function read({ response, methods: asked = [], text, ends = [], over }) {
  const bytes = Buffer.from(text, 'base64');
  const messages = [];
  let given = 0; // of the bytes
  let answered = 0; // of the requests
  let message; // the current one, from the end of its head on
  let head = []; // what has come of the fields of a head

  const parser = new HTTPParser();
  parser.initialize(response ? HTTPParser.RESPONSE : HTTPParser.REQUEST, {}, 2 ** 20, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnHeaders] = (list) => {
    if (message) message.trailer.push(...pairs(list));
    else head.push(...pairs(list));
  };
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, list, method, url, status) => {
    message = {
      method: response ? '' : methods[method], status: response ? status : 0,
      fields: head.concat(pairs(list || [])), trailer: [],
      length: 0, hash: createHash('sha256'), end: -1,
    };
    head = [];
    messages.push(message);
    return response && asked[answered] === 'HEAD' ? 1 : 0; // 1: it has no body
  };
  parser[HTTPParser.kOnBody] = (chunk) => {
    message.length += chunk.length;
    message.hash.update(chunk);
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    message.end = given;
    if (message.status >= 200) answered++;
    message = undefined;
  };

  let error = '';
  const give = (end) => {
    const part = bytes.subarray(given, end);
    given = end;
    if (error || part.length === 0) return;
    const result = parser.execute(part);
    if (result instanceof Error) error = `${result.code}: ${result.reason}`;
    else if (result !== part.length) error = `it takes ${result} of ${part.length} bytes`; // it sees an upgrade
  };
  for (const end of ends) {
    give(end - 1);
    give(end);
  }
  give(bytes.length);
  if (over && !error) parser.finish(); // it may end a body; in the middle of a message it is an error, which shows
  parser.close();
  for (const m of messages) m.hash = m.hash.digest('hex');
  return { messages, error };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${JSON.stringify(JSON.parse(line).map(read))}\n`);
});
