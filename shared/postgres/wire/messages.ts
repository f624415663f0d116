/** Frontend messages (PostgreSQL manual, "Message Formats"), written into a reused buffer, and the reading of small backend ones. */
import type { ByteWriter } from './byte-writer.ts';
import { ServerError } from './server-error.ts';

export function writeStartup(out: ByteWriter, parameters: Readonly<Record<string, string>>): void {
  out.int32(0).int16(3).int16(0);
  for (const [name, value] of Object.entries(parameters)) out.cstring(name).cstring(value);
  out.uint8(0).endMessage(0);
}

export function writeText(out: ByteWriter, type: 'Q' | 'f' | 'p', text: string): void {
  const at = out.startMessage(type);
  out.cstring(text).endMessage(at);
}

export function writeSaslInitial(out: ByteWriter, mechanism: string, first: string): void {
  const at = out.startMessage('p');
  out.cstring(mechanism).int32(Buffer.byteLength(first)).utf8(first).endMessage(at);
}

export function writeSaslAnswer(out: ByteWriter, text: string): void {
  const at = out.startMessage('p');
  out.utf8(text).endMessage(at);
}

export function writeParse(out: ByteWriter, statement: string, sql: string): void {
  const at = out.startMessage('P');
  out.cstring(statement).cstring(sql).int16(0).endMessage(at);
}

/** Starts a Bind of the unnamed portal whose parameters are all binary; the caller writes each (length, bytes), then {@link endBind}. */
export function startBinaryBind(out: ByteWriter, statement: string, parameterCount: number): number {
  const at = out.startMessage('B');
  out.cstring('').cstring(statement).int16(1).int16(1).int16(parameterCount);
  return at;
}

export function endBind(out: ByteWriter, lengthAt: number): void {
  out.int16(0).endMessage(lengthAt);
  writeExecute(out);
}

export function writeTextBind(
  out: ByteWriter,
  statement: string,
  parameters: readonly (string | null)[],
): void {
  const at = out.startMessage('B');
  out.cstring('').cstring(statement).int16(0).int16(parameters.length);
  for (const parameter of parameters) {
    if (parameter === null) out.int32(-1);
    else out.int32(Buffer.byteLength(parameter)).utf8(parameter);
  }
  out.int16(0).endMessage(at);
}

export function writeDescribePortal(out: ByteWriter): void {
  const at = out.startMessage('D');
  out.uint8(0x50).cstring('').endMessage(at);
}

export function writeExecute(out: ByteWriter): void {
  const at = out.startMessage('E');
  out.cstring('').int32(0).endMessage(at);
}

/** Sync `S`, CopyDone `c`, Terminate `X`: messages without a body. */
export function writeBare(out: ByteWriter, type: 'S' | 'c' | 'X'): void {
  out.endMessage(out.startMessage(type));
}

export function readServerError(body: Buffer): ServerError {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at + 1);
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return new ServerError(fields);
}

export function readCString(body: Buffer, start: number): { text: string; next: number } {
  const end = body.indexOf(0, start);
  return { text: body.toString('utf8', start, end), next: end + 1 };
}
