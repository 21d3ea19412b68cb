// Runs in our database, read as the peers in Python do: rows with their task in one statement, cursors of a run's key.
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';

const TENANT = 'default';
const SELECT = `
  SELECT runs.id, number, runs.status, priority, runs.labels, runs.created_at AS createdAt, started_at AS startedAt,
    completed_at AS completedAt, duration, tasks.id AS taskId, tasks.name AS taskName
  FROM runs JOIN tasks ON tasks.id = runs.task_id`;
const ORDER = 'ORDER BY runs.created_at DESC, runs.id DESC LIMIT ?';

const database = new Database(process.argv[3], { readonly: true });
const page = database.prepare(`${SELECT} WHERE runs.tenant = ? ${ORDER}`);
const next = database.prepare(`${SELECT} WHERE runs.tenant = ? AND (runs.created_at, runs.id) < (?, ?) ${ORDER}`);
const one = database.prepare(`${SELECT} WHERE runs.id = ? AND runs.tenant = ?`);

export const typeDefs = readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8');

export const resolvers = {
  Query: {
    run: (_, { id }) => {
      const row = one.get(id, TENANT);
      return row === undefined ? null : run(row);
    },
    runs: (_, { first, after }) => {
      const rows = after ? next.all(TENANT, ...decodeCursor(after), first + 1) : page.all(TENANT, first + 1);
      const hasNextPage = rows.length > first;
      if (hasNextPage) rows.pop();
      const last = rows.at(-1);
      return { nodes: rows.map(run), pageInfo: { hasNextPage, endCursor: last ? encodeCursor(last) : null } };
    },
  },
};

// As a DateTime is printed: to the microsecond, which a Date has not.
export function serializeTime(micros) {
  return `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, '0')}Z`;
}

function run({ taskId, taskName, labels, ...row }) {
  return { ...row, labels: JSON.parse(labels), task: { id: taskId, name: taskName } };
}

function encodeCursor({ createdAt, id }) {
  return Buffer.from(`${createdAt}:${id}`).toString('base64url');
}

function decodeCursor(cursor) {
  const [createdAt, id] = Buffer.from(cursor, 'base64url').toString().split(':');
  return [Number(createdAt), id];
}
