// The published service config is understood by grpc-js: what may be retried is, within bounds,
// and nothing else is. A small server counts the attempts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { call, connect } from "./example.mjs";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));

// The code, how often it is answered, what the server says about trying again, and the attempts
// expected.
const CASES = [
  ["UNAVAILABLE", 2, "1", 3],
  ["ABORTED", 2, "1", 3],
  ["UNAVAILABLE", 9, "1", 4],
  ["UNAVAILABLE", 9, "-1", 1],
  ["FAILED_PRECONDITION", 9, "1", 1],
  ["RESOURCE_EXHAUSTED", 9, "1", 1],
];

for (const [code, refusals, pushback, expected] of CASES) {
  test(`${code}, ${refusals} times, pushback ${pushback}: ${expected} attempts`, async () => {
    let attempts = 0;
    const trailers = new grpc.Metadata();
    trailers.set("grpc-retry-pushback-ms", pushback);
    const refusal = { code: grpc.status[code], details: "not yet", metadata: trailers };
    const server = new grpc.Server();
    server.addService(connect("localhost:1", PROTO).constructor.service, {
      GetCharge: (_, answer) => (++attempts <= refusals ? answer(refusal) : answer(null, {})),
    });
    const bind = promisify(server.bindAsync).bind(server);
    const port = await bind("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
    const payments = connect(`127.0.0.1:${port}`, PROTO);

    const outcome = call(payments, "GetCharge", { reference: "r" });
    if (expected > refusals) {
      await outcome;
    } else {
      await assert.rejects(outcome, { code: grpc.status[code] });
    }
    assert.equal(attempts, expected);
    payments.close();
    server.forceShutdown();
  });
}
