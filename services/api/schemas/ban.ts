import { Type } from '@sinclair/typebox';
import { Nullable, Timestamp } from './field-types.ts';

const Ban = Type.Object(
  {
    name: Type.String({ description: 'the username that was tried' }),
    source: Nullable(
      Type.String({ description: 'address; null: held at every source where it never logged in' }),
    ),
    failures: Type.Integer(),
    heldUntil: Timestamp,
  },
  { title: 'Ban' },
);

export const BanList = Type.Object({ bans: Type.Array(Ban) });
export const LiftedBans = Type.Object({
  lifted: Type.Array(Ban, { description: 'what was held; empty: nothing was' }),
});
