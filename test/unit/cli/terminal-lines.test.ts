import { expect, it } from 'vitest';
import { readTerminalLines, terminalLine } from '../../../services/cli/terminal-lines.ts';

const lines = (...texts: string[]) => texts.map((text, index) => ({ line: index + 1, text }));
const read = (format: 'csv' | 'jsonl', ...texts: string[]) =>
  readTerminalLines(lines(...texts), format, 'x.test');

it('CSV in any order of columns, with quotes; what is left away has its default', () => {
  const { faults, good } = read(
    'csv',
    'password,number,features',
    '"a ""b"", c",1001,redial|erase',
    '',
    'pw,+44 20,',
  );
  expect(faults).toEqual([]);
  expect(good).toMatchObject([
    {
      line: 2,
      terminal: {
        terminalId: null,
        number: '1001',
        username: '1001',
        aor: 'sip:1001@x.test',
        features: ['redial', 'erase'],
      },
    },
    { line: 4, terminal: { number: '+4420', features: ['redial', 'return'], enabled: true } },
  ]);
});

it.each([
  ['csv', ['number,password', '1001'], 2, '1 columns; the first line has 2'],
  ['csv', ['number,password', 'abc,x'], 2, 'number: expected digits'],
  ['csv', ['number,pasword', '1001,x'], 1, 'unknown column pasword'],
  ['csv', ['number,password', '"1001,x'], 2, 'a quote is not closed'],
  ['csv', ['number,password', '1001,x', '1001,y'], 3, 'username 1001 stands on line 2 already'],
  ['csv', ['number,password,features', '1001,x,fly'], 2, 'features: expected some of redial'],
  ['csv', ['number', '1001'], 2, 'password, ha1Md5 or ha1Sha256 is needed'],
  ['csv', ['number,password,terminalId', '1001,x,0'], 2, 'terminalId: expected a whole number'],
  ['csv', ['number,password,enabled', '1001,x,maybe'], 2, 'enabled: expected true or false'],
  ['jsonl', ['{"number":"1001",'], 1, 'not JSON'],
  ['jsonl', ['[1]'], 1, 'not a JSON object'],
  ['jsonl', ['{"number":"1001","password":"x","numbr":1}'], 1, 'unknown key numbr'],
  ['jsonl', ['{"number":"1001","ha1Md5":"xyz"}'], 1, 'ha1Md5: expected 32 hexadecimal digits'],
  ['jsonl', ['{"number":"1001","password":"x","aor":"1001"}'], 1, 'aor: expected such as sip:'],
] as const)('%s %j: line %i is bad: %s', (format, texts, line, fault) => {
  const { faults } = read(format, ...texts);
  expect(faults).toMatchObject([{ line, fault: expect.stringContaining(fault) }]);
});

it.each(['csv', 'jsonl'] as const)('what export writes as %s, import reads back', (format) => {
  const terminal = {
    ...read('jsonl', '{"number":"1001","password":"x","terminalId":5,"username":"a,\\"b\\""}').good[0]
      ?.terminal,
    terminalId: 5,
  } as Parameters<typeof terminalLine>[0];
  const line = terminalLine(terminal, format, true);
  const head = 'terminalId,number,username,aor,userId,numberId,features,enabled,ha1Md5,ha1Sha256';
  expect(read(format, ...(format === 'csv' ? [head] : []), line).good[0]?.terminal).toEqual(terminal);
  expect(terminalLine(terminal, format, false)).not.toContain(terminal.ha1Md5);
});
