// Gives documents to AsyncAPI's own parser: node check.mjs FOLDER_WITH_NODE_MODULES DOCUMENT...
// Prints what it finds fault with and, for each document, whether it is taken.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename } from 'node:path';

const [home, ...documents] = process.argv.slice(2);
const require = createRequire(`${home}/`);
const { Parser } = require('@asyncapi/parser');
const { AvroSchemaParser } = require('@asyncapi/avro-schema-parser');
const { ProtoBuffSchemaParser } = require('@asyncapi/protobuf-schema-parser');

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
parser.registerSchemaParser(ProtoBuffSchemaParser());

const ERROR = 0;
for (const path of documents) {
  const { document, diagnostics } = await parser.parse(await readFile(path, 'utf8'));
  const errors = diagnostics.filter(({ severity }) => severity === ERROR);
  for (const { code, message, path: place } of errors) {
    console.log(`${basename(path)}: ${code} at /${place.join('/')}: ${message}`);
  }
  const messages = document?.allMessages().all() ?? [];
  const counts = `${document?.channels().all().length} channels, ${messages.length} messages, ${messages.filter((one) => one.hasPayload()).length} payloads`;
  console.log(`${basename(path)} ${document && !errors.length ? `is taken: ${counts}` : 'is refused'}`);
}
