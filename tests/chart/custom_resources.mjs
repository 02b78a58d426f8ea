// Validates objects of the Prometheus operator's kinds, with what is made from its own Go types.
//
// Standard input: a line of JSON for each object. Standard output: for each a line with a JSON array
// of its faults.
//
// The validators check types, enumerations and patterns, and pass over fields that they do not know,
// as an API server drops them. A field that they never look at is a fault here.

import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { createInterface } from "node:readline";

const KINDS = { PodMonitor, PrometheusRule };

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(faults(JSON.parse(line))));
}

function faults(object) {
  const lookedAt = new Set();
  try {
    // Not a model of the object, which would be a copy.
    KINDS[object.kind].prototype.validate.call(watched(object, "", lookedAt));
  } catch (fault) {
    return [fault.message];
  }
  return unknown(object, "", lookedAt);
}

/** The object, which notes the path of every field that is read. */
function watched(value, path, lookedAt) {
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get(target, name) {
      if (typeof name !== "string") return target[name];
      lookedAt.add(`${path}/${name}`);
      return watched(target[name], `${path}/${name}`, lookedAt);
    },
  });
}

function unknown(value, path, lookedAt) {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => {
    const its = `${path}/${name}`;
    return lookedAt.has(its) ? unknown(item, its, lookedAt) : [`${its}: unknown`];
  });
}
