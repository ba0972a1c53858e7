// Makes TypeScript types of all event types, and Java classes of those named on the command line: into generated/.
import { mkdirSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";
import { eventTypes, schema } from "im-callback-schemas";
import { FetchingJSONSchemaStore, InputData, JSONSchemaInput, quicktype } from "quicktype-core";

const nameOf = (name) => name.replace(/(^|[.-])([a-z0-9])/g, (_, __, letter) => letter.toUpperCase());
// What the tools need: a name for the type. Samples and our own keywords say nothing about types.
const plain = (name) => {
  const { $schema, $id, examples, ...rest } = schema(name);
  return Object.fromEntries([["title", nameOf(name)], ...Object.entries(rest).filter(([key]) => !/^(x-|title$)/.test(key))]);
};

mkdirSync("generated", { recursive: true });
for (const { name, status } of eventTypes) {
  if (status === "undocumented") continue;
  const text = await compile(plain(name), nameOf(name), { bannerComment: "", format: false });
  writeFileSync(`generated/${name}.ts`, text);
}

for (const name of process.argv.slice(2)) {
  const input = new JSONSchemaInput(new FetchingJSONSchemaStore());
  await input.addSource({ name: nameOf(name), schema: JSON.stringify(plain(name)) });
  const inputData = new InputData();
  inputData.addInput(input);
  const packaged = `callbacks.${name.replace(/[^a-z0-9]/g, "_")}`;
  const { lines } = await quicktype({ inputData, lang: "java", rendererOptions: { package: packaged } });
  const folder = `generated/java/${packaged.replaceAll(".", "/")}`;
  mkdirSync(folder, { recursive: true });
  // One text with the name of each file above it.
  for (const part of lines.join("\n").split(/^\/\/ (?=\w+\.java$)/m).slice(1)) {
    const [file, ...rest] = part.split("\n");
    writeFileSync(`${folder}/${file}`, rest.join("\n"));
  }
}
