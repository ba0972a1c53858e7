// Writes the document as the Java generator can read it: node plain.js FROM TO
import { readFileSync, writeFileSync } from "node:fs";

const [from, to] = process.argv.slice(2);

function plain(key, value) {
  // It makes maps of objects that may have no other members.
  if (key === "additionalProperties" && value === false) return undefined;
  // It takes whole numbers for those of 32 bits.
  if (value?.type === "integer" || value?.type?.includes?.("integer")) return { ...value, format: "int64" };
  // It has no type for an object or an array: any value, then.
  if (!Array.isArray(value?.type) || !value.type.includes("object")) return value;
  const { type, items, ...rest } = value;
  return rest;
}

writeFileSync(to, JSON.stringify(JSON.parse(readFileSync(from, "utf8"), plain)));
