// What `graphql-codegen --config codegen.mjs` does, without its command line and the 235 packages that come with it.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { preset } from "@graphql-codegen/client-preset";
import { codegen } from "@graphql-codegen/core";
import { buildSchema, parse, print } from "graphql";
import settings from "./codegen.mjs";

const schema = await readFile(settings.schema, "utf8");
const document = parse(await readFile(settings.documents, "utf8"));
for (const [folder, { presetConfig, config }] of Object.entries(settings.generates)) {
  await mkdir(folder, { recursive: true });
  const files = await preset.buildGeneratesSection({
    baseOutputDir: folder,
    presetConfig,
    config,
    documents: [{ location: settings.documents, document, rawSDL: print(document) }],
    schema: parse(schema),
    schemaAst: buildSchema(schema),
    plugins: [],
    pluginMap: {},
  });
  for (const file of files) await writeFile(file.filename, await codegen(file));
}
