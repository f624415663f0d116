import type { TSchema } from '@sinclair/typebox';
import { Ajv, type ValidateFunction } from 'ajv';
import type { FastifySchemaCompiler } from 'fastify';

/** JSON bodies mean what they say: no coercion, no unknown keys. Paths and queries are text and are read as their type. */
const strict = new Ajv({ allErrors: true, strict: false, useDefaults: true });
const lenient = new Ajv({ allErrors: true, strict: false, useDefaults: true, coerceTypes: true });

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validate: ValidateFunction = (httpPart === 'body' ? strict : lenient).compile(schema);
  return validate;
};
