// Runs the audits of graphql-http against the server at the given address; prints [id, name, status, reason].
import { auditServer } from "graphql-http";

const [, , url] = process.argv;
const results = await auditServer({ url });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => [id, name, status, reason ?? null])));
