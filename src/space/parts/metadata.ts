export { ByteWriter } from '../metadata/byte-writer.ts';
export { parseMetadataFields } from '../metadata/fields.ts';
export { PackedMetadata } from '../metadata/packed.ts';
export { readRecord, recordBytesMax, writeRecord } from '../metadata/record.ts';
export { compileWhere } from '../where/compile.ts';
