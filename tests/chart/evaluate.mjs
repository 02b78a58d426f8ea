// Evaluates expressions of admission policies, as far as CEL itself goes.
//
// Standard input, a line of JSON each: first {"types": {NAME: {FIELD: {kind, of, repeated}}}}, then
// questions {"cases": [{"expression", "object", "oldObject"}]}. Standard output: for each question a line with
// {"value"} or {"fault"} for each case. Objects come back as plain JSON.
//
// An API server knows its own types; these stand-ins are made from Kubernetes' published schemas, so
// that a field that is misspelt, of another type or under another type's name is a fault here too.

import { createFileRegistry, fromJson, toJson } from "@bufbuild/protobuf";
import { isReflectMessage } from "@bufbuild/protobuf/reflect";
import {
  AnySchema,
  FileDescriptorSetSchema,
  anyUnpack,
  file_google_protobuf_any,
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { CelScalar, celEnv, isCelError, isCelList, isCelMap, mapType, parse, plan } from "@bufbuild/cel";
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const registry = standIns(JSON.parse((await lines.next()).value).types);
const env = celEnv({
  registry,
  variables: {
    object: mapType(CelScalar.STRING, CelScalar.DYN),
    oldObject: mapType(CelScalar.STRING, CelScalar.DYN),
  },
});
for await (const line of lines) {
  console.log(JSON.stringify(JSON.parse(line).cases.map(evaluate)));
}

function evaluate({ expression, object, oldObject }) {
  try {
    const value = plan(env, parse(expression))({ object, oldObject });
    return isCelError(value) ? { fault: value.message } : { value: plain(value) };
  } catch (fault) {
    return { fault: fault.message };
  }
}

/**
 * One message type for each stand-in, in a file of its own, as a type is another's package too.
 * Presence is kept, so that `false` and 0 are values.
 */
function standIns(types) {
  const scalars = { string: "TYPE_STRING", int: "TYPE_INT32", bool: "TYPE_BOOL" };
  const files = Object.entries(types).map(([name, fields]) => {
    const nestedType = [];
    const field = Object.entries(fields).map(([fieldName, { kind, of, repeated }], index) => {
      const made = { name: fieldName, jsonName: fieldName, number: index + 1 };
      made.label = repeated || kind === "map" ? "LABEL_REPEATED" : "LABEL_OPTIONAL";
      made.type = scalars[kind] ?? "TYPE_MESSAGE";
      if (kind === "message") made.typeName = `.${of}`;
      if (kind === "any") made.typeName = ".google.protobuf.Any";
      if (kind === "dyn") made.typeName = ".google.protobuf.Value";
      if (kind === "map") {
        const entry = `${fieldName[0].toUpperCase()}${fieldName.slice(1)}Entry`;
        made.typeName = `.${name}.${entry}`;
        nestedType.push({
          name: entry,
          options: { mapEntry: true },
          field: ["key", "value"].map((part, at) => ({
            name: part, jsonName: part, number: at + 1, label: "LABEL_OPTIONAL", type: "TYPE_STRING",
          })),
        });
      }
      return made;
    });
    const path = name.split(".");
    return {
      name: `${name}.proto`,
      package: path.slice(0, -1).join("."),
      syntax: "proto2",
      dependency: [
        "google/protobuf/any.proto",
        "google/protobuf/struct.proto",
        ...Object.values(fields).filter(({ kind }) => kind === "message").map(({ of }) => `${of}.proto`),
      ],
      messageType: [{ name: path.at(-1), field, nestedType }],
    };
  });
  // What a type is made of comes before it.
  const set = fromJson(FileDescriptorSetSchema, { file: files.reverse() });
  const known = [file_google_protobuf_any, file_google_protobuf_struct, file_google_protobuf_wrappers];
  set.file.unshift(...known.map(({ proto }) => proto));
  return createFileRegistry(set);
}

function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (isCelList(value)) return [...value].map(plain);
  if (isCelMap(value)) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  return isReflectMessage(value) ? patchOperation(value) : value;
}

/** The only messages that come back by themselves are operations of a patch. */
function patchOperation(message) {
  const set = message.fields.filter((field) => message.isSet(field));
  const text = (field) => message.get(field);
  const held = (field) => {
    const inner = anyUnpack(message.get(field).message, registry);
    return toJson(registry.getMessage(inner.$typeName), inner, { registry });
  };
  const isAny = (field) => field.message?.typeName === AnySchema.typeName;
  return Object.fromEntries(set.map((field) => [field.name, isAny(field) ? held(field) : text(field)]));
}
