export interface Tab {
  query: string;
  variables: string;
}

const operations = read(import.meta.glob('../operations/*.graphql', { query: '?raw', import: 'default', eager: true }));
const variables = read(import.meta.glob('../operations/*.json', { query: '?raw', import: 'default', eager: true }));

/** The example operations in the order of their file names, each with the variables of the same name. */
export const tabs: Tab[] = [...operations].sort().map(([name, query]) => ({ query, variables: variables.get(name) ?? '' }));

function read(modules: Record<string, unknown>): Map<string, string> {
  return new Map(Object.entries(modules).map(([path, text]) => [path.replace(/\.\w+$/, ''), String(text).trimEnd()]));
}
