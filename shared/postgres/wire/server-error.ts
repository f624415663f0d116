/** What the server said (ErrorResponse). `code` is the SQLSTATE: match that, never the message. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly code: string;
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'the server sent an error without a message');
    this.code = fields.get('C') ?? 'XX000';
    this.severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    this.detail = fields.get('D');
    this.hint = fields.get('H');
  }
}

/** The connection ended, or never came to be: worth another try. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** It waited in vain; a slower link might have answered. */
export class NoAnswer extends ConnectionLost {}

/** The server speaks something this client refuses or does not know. Another try will not help. */
export class ProtocolRefused extends Error {
  override readonly name = 'ProtocolRefused';
}
