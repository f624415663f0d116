import {
  type ApiDocument,
  byTag,
  limitsText,
  type Place,
  resolved,
  type Schema,
  typeText,
} from './document.ts';

/** The REST API as its own OpenAPI document tells it, for people. */
export function Reference({ document }: { document: ApiDocument }) {
  const tags = [...byTag(document)];
  const schemas = Object.entries(document.components.schemas);
  return (
    <>
      <header class="top">
        <p class="brand">
          <img src="icon.svg" alt="" width="28" height="28" /> Lastcall <span class="site">REST API</span>
        </p>
        <nav aria-label="Chapters">
          {tags.map(([tag]) => (
            <a key={tag} href={`#${idOf(tag)}`}>
              {tag}
            </a>
          ))}
          <a href="#schemas">schemas</a>
        </nav>
      </header>
      <main>
        <h1>REST API, version {document.info.version}</h1>
        <p class="lead">
          What this api answers, made from the schemas that check it. Send{' '}
          <code>Authorization: Bearer TOKEN</code>. The same for programs is{' '}
          <a href="../v1/openapi.json">openapi.json</a>.
        </p>
        {tags.map(([tag, places]) => (
          <section key={tag} aria-labelledby={idOf(tag)}>
            <h2 id={idOf(tag)}>{tag}</h2>
            {places.map((place) => (
              <Endpoint key={place.operation.operationId} document={document} place={place} />
            ))}
          </section>
        ))}
        <section aria-labelledby="schemas">
          <h2 id="schemas">schemas</h2>
          {schemas.map(([name, schema]) => (
            <article key={name} class="card" aria-labelledby={`schema-${name}`}>
              <h3 id={`schema-${name}`}>{name}</h3>
              {schema.description && <p>{schema.description}</p>}
              <Fields schema={schema} />
            </article>
          ))}
        </section>
      </main>
    </>
  );
}

const idOf = (tag: string): string => `tag-${tag.replaceAll(' ', '-')}`;

function Endpoint({ document, place: { method, operation, path } }: { document: ApiDocument; place: Place }) {
  const body = Object.entries(operation.requestBody?.content ?? {})[0]?.[1];
  const answers = Object.entries(operation.responses).filter(([status]) => status !== 'default');
  return (
    <article class="card" aria-labelledby={operation.operationId}>
      <h3 id={operation.operationId}>
        <a href={`#${operation.operationId}`}>
          <kbd>{method}</kbd> <code>{path}</code>
        </a>
      </h3>
      <p>
        {operation.summary}. {operation.description}
      </p>
      {operation.parameters.length > 0 && (
        <div class="scroll">
          <table>
            <caption>Parameters</caption>
            <tbody>
              {operation.parameters.map((parameter) => (
                <Field
                  key={parameter.name}
                  name={parameter.name}
                  schema={parameter.schema}
                  required={parameter.required}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {body && (
        <>
          <h4>Asks with</h4>
          <Fields schema={resolved(body.schema, document)} />
          <Shown example={body.example} />
        </>
      )}
      <h4>Answers</h4>
      <dl class="answers">
        {answers.map(([status, { content, description }]) => {
          const [type, told] = Object.entries(content ?? {})[0] ?? [];
          return (
            <div key={status}>
              <dt>{status}</dt>
              <dd>
                {told && status.startsWith('2') ? (
                  <>
                    <SchemaName schema={told.schema} /> <span class="muted">{type}</span>
                    <Shown example={told.example} />
                  </>
                ) : (
                  description
                )}
              </dd>
            </div>
          );
        })}
      </dl>
    </article>
  );
}

function SchemaName({ schema }: { schema: Schema }) {
  const name = schema.$ref?.split('/').at(-1);
  return name === undefined ? <code>{typeText(schema)}</code> : <a href={`#schema-${name}`}>{name}</a>;
}

function Fields({ schema }: { schema: Schema }) {
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length === 0) return null;
  return (
    <div class="scroll">
      <table>
        <tbody>
          {fields.map(([name, field]) => (
            <Field
              key={name}
              name={name}
              schema={field}
              required={schema.required?.includes(name) ?? false}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Field({ name, required, schema }: { name: string; required: boolean; schema: Schema }) {
  return (
    <tr>
      <th scope="row">
        <code>{name}</code>
      </th>
      <td>
        {typeText(schema)}
        {!required && ', optional'}
      </td>
      <td>{[schema.description, limitsText(schema)].filter(Boolean).join('; ')}</td>
    </tr>
  );
}

function Shown({ example }: { example: unknown }) {
  if (example === undefined) return null;
  return <pre>{typeof example === 'string' ? example : JSON.stringify(example, null, 2)}</pre>;
}
