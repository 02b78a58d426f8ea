// Mutual TLS with a stock client, and connections that live as docs/CLIENTS.md says.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { call, certificate, connect } from "./example.mjs";
import { startSidecar } from "./sidecar.mjs";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));
const CERTIFICATES = fileURLToPath(new URL("../certificates", import.meta.url));
const CHECKOUT = "spiffe://mesh.example/ns/shop/sa/checkout";
const IN_FORCE = "new TLS files are in force";
const PATIENCE_MS = 20_000;

let folder;

const make = () => execFileSync(CERTIFICATES, [folder, CHECKOUT]);

const settings = () => ({
  SIDECAR_TLS_CERT_FILE: `${folder}/server.pem`,
  SIDECAR_TLS_KEY_FILE: `${folder}/server-key.pem`,
  SIDECAR_TLS_CLIENT_CA_FILE: `${folder}/ca.pem`,
  SIDECAR_TLS_TRUST_DOMAIN: "mesh.example",
  SIDECAR_TLS_ALLOWED_IDS: "spiffe://mesh.example/ns/shop/*",
  SIDECAR_LOG: "zentra_sidecar=debug",
});

const address = (sidecar) => sidecar.address.replace("tls://", "");

/** Calls without a pause until the log says so. */
async function callUntil(payments, sidecar, said) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!said(sidecar.log())) {
    assert.ok(Date.now() < deadline, sidecar.log());
    await Promise.all(Array.from({ length: 8 }, () => call(payments, "ListCharges", {})));
  }
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), "zentra-mesh-"));
  make();
});
after(() => rmSync(folder, { recursive: true }));

test("a charge with a certificate", async () => {
  const sidecar = await startSidecar("tls://127.0.0.1:0", settings());
  const payments = connect(address(sidecar), PROTO, certificate(folder));
  try {
    const { token } = await call(payments, "Tokenize", {
      idempotencyKey: "key-1",
      customerId: "cus_1",
      card: { number: "4242424242424242", expiryMonth: 12, expiryYear: 2034, cvv: "123" },
    });
    const { charge } = await call(payments, "Charge", {
      idempotencyKey: "key-2",
      reference: "order-1",
      amount: { amountMinor: 125_000, currency: "NGN" },
      customerId: "cus_1",
      paymentTokenId: token.id,
    });
    assert.equal(charge.status, "CHARGE_STATUS_SUCCEEDED");
    assert.equal((await sidecar.ledger("order-1")).charges.length, 1);
    assert.match(sidecar.log(), /"caller":"shop\/checkout"/);
  } finally {
    payments.close();
    assert.equal(await sidecar.stop(), 0);
  }
});

test("without a certificate there is no connection", async () => {
  const sidecar = await startSidecar("tls://127.0.0.1:0", settings());
  const payments = connect(address(sidecar), PROTO, grpc.credentials.createSsl());
  try {
    await assert.rejects(call(payments, "ListCharges", {}, 5), { code: grpc.status.UNAVAILABLE });
  } finally {
    payments.close();
    assert.equal(await sidecar.stop(), 0);
  }
});

test("no call fails while certificates rotate and connections grow old", async () => {
  const sidecar = await startSidecar("tls://127.0.0.1:0", {
    ...settings(),
    SIDECAR_CONNECTION_AGE_SECONDS: "1",
  });
  const payments = connect(address(sidecar), PROTO, certificate(folder));
  try {
    make();
    await callUntil(payments, sidecar, (log) => log.includes(IN_FORCE));
    // And until the connection was replaced after that.
    await callUntil(payments, sidecar, (log) => log.split(IN_FORCE).pop().includes("it is old"));
    await call(payments, "ListCharges", {});
  } finally {
    payments.close();
    assert.equal(await sidecar.stop(), 0);
  }
});

/** A client that pings this often, and what the sidecar said of it. */
async function pinging(everyMs, forMs) {
  const sidecar = await startSidecar("127.0.0.1:0", { SIDECAR_LOG: "zentra_sidecar=debug" });
  const payments = connect(sidecar.address, PROTO, grpc.credentials.createInsecure(), {
    "grpc.keepalive_time_ms": everyMs,
    "grpc.keepalive_permit_without_calls": 1,
  });
  try {
    await call(payments, "ListCharges", {});
    await sleep(forMs);
    await call(payments, "ListCharges", {});
    return sidecar.log();
  } finally {
    payments.close();
    assert.equal(await sidecar.stop(), 0);
  }
}

test("pings once a second are welcome", async () => {
  // More pings than are put up with at once: it is their pace that counts.
  assert.doesNotMatch(await pinging(1000, 14_000), /goodbye/);
});

test("pings without measure end the connection, and not the calls", async () => {
  assert.match(await pinging(100, 4_000), /"why":"it floods"/);
});
