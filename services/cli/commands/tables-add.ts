import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { adoptTable, defineKind } from '../../../shared/postgres/kinds/define-kind.ts';
import { type Command, WrongUsage } from '../command.ts';
import type { Input } from '../input.ts';
import {
  checkedDescription,
  definitionOf,
  describedByOptions,
  namedColumns,
  type TableDescription,
  typedColumns,
} from '../tables/table-description.ts';

export const tablesAdd: Command = {
  name: 'tables add',
  changes: true,
  summary: 'make a table of your own that every site keeps one of; run it at every site, in any order',
  arguments: [{ name: 'NAME', description: 'its name, unless --file says it', optional: true }],
  options: [
    {
      flags: '--key <column:type>',
      description: 'a key column: bigint, integer, text or uuid',
      repeatable: true,
    },
    {
      flags: '--group <name:date(column:type,...)>',
      description:
        'what is written, compared and forgotten as a whole, with its date; a column without type is text',
      repeatable: true,
    },
    {
      flags: '--value <column>',
      description: 'the column of a group whose NULL says: known to be withheld or erased',
      repeatable: true,
    },
    {
      flags: '--date <column>',
      description: 'a date of no group: the latest of all sites counts',
      repeatable: true,
    },
    { flags: '--column <column:type>', description: 'a column of no group', repeatable: true },
    {
      flags: '--follows <table[:column]>',
      description:
        'whose removal takes its rows along, and the key column that names it: terminals:terminal_id',
    },
    { flags: '--where <sql>', description: 'which rows leave the site; over key columns' },
    { flags: '--from <table>', description: 'adopt this table with its rows; only columns that are named' },
    { flags: '--file <file>', description: 'all of that in YAML or JSON, as `tables show --json` prints it' },
  ],
  examples: [
    "lastcall tables add forwardings --key terminal_id:bigint --group 'forward:forwarded_at(forward_to)' --follows terminals",
    "lastcall tables add mailboxes --from public.mailboxes --key id --group 'count:seen_at(unread)'",
    'lastcall tables add --file forwardings.yaml',
  ],
  async run(input, context) {
    const description = await described(input);
    const { name, from } = description;
    const definition = definitionOf(description);
    const columns = from === undefined ? typedColumns(description) : [];
    const database = await context.database('owner');
    let adopted: number | null = null;
    if (from === undefined) await defineKind(database, definition, columns);
    else adopted = await adoptTable(database, definition, from, namedColumns(description));
    const { site, peers } = context.config().config;
    const others = Object.keys(peers);
    const text = [
      `table ${name} added at site ${site}${adopted === null ? '' : `, with ${adopted} rows of ${from}, which stays as it is`}`,
      ...(others.length === 0
        ? []
        : [
            `next: the same at ${others.join(', ')}, where it is not there yet; until then \`lastcall status\` shows waiting-for-peer`,
          ]),
    ];
    return { data: { table: name, site, adopted }, text: text.join('\n') };
  },
};

async function described(input: Input): Promise<TableDescription> {
  const name = input.maybeText('NAME');
  const file = input.maybeText('file');
  const options = {
    key: input.list('key'),
    group: input.list('group'),
    value: input.list('value'),
    date: input.list('date'),
    column: input.list('column'),
    follows: input.maybeText('follows'),
    where: input.maybeText('where'),
    from: input.maybeText('from'),
  };
  if (file === null) {
    if (name === null) throw new WrongUsage('say the name of the table, or --file');
    return describedByOptions({ ...options, name });
  }
  const { from, ...shape } = options;
  if (Object.values(shape).some((value) => value !== null && value.length > 0)) {
    throw new WrongUsage('with --file the file says it all: no other option but --from');
  }
  const description = checkedDescription(await contentOf(file));
  return {
    ...description,
    ...(name !== null && { name }),
    ...(from !== null && { from }),
  };
}

async function contentOf(file: string): Promise<unknown> {
  try {
    const content: unknown = parse(await readFile(file, 'utf8'));
    // `tables show --json` says more than the description.
    const shown = content as { description?: unknown } | null;
    return shown?.description ?? content;
  } catch (cause) {
    throw new WrongUsage(`cannot read ${file}: ${(cause as Error).message}`);
  }
}
