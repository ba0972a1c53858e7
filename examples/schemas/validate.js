// Validates every documented sample, and refuses it once a field that tells events apart is taken away.
import Ajv from "ajv/dist/2020.js";
import { dialect, eventTypes, schema } from "im-callback-schemas";

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addMetaSchema(dialect);
let samples = 0;
let refused = 0;
for (const { name, file } of eventTypes) {
  const described = schema(name);
  const valid = ajv.compile(described);
  for (const sample of described.examples ?? []) {
    samples += 1;
    if (!valid(sample)) throw new Error(`${file}: ${ajv.errorsText(valid.errors)}`);
    for (const field of described.required ?? []) {
      const { [field]: gone, ...rest } = sample;
      if (valid(rest)) throw new Error(`${file}: ${field} is required, and nobody misses it`);
      refused += 1;
    }
  }
}
console.log(JSON.stringify({ eventTypes: eventTypes.length, samples, refused }));
