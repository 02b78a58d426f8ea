// The sidecar at a Unix socket, called by a stock client.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { call, connect } from "./example.mjs";
import { startSidecar } from "./sidecar.mjs";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));

test("a charge over a Unix socket", async () => {
  const folder = mkdtempSync(join(tmpdir(), "zentra-socket-"));
  const sidecar = await startSidecar(`unix:${join(folder, "sidecar.sock")}`);
  // Nothing is to be set: this client calls the server of a socket localhost by itself.
  const payments = connect(sidecar.address, PROTO);
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
  } finally {
    payments.close();
    assert.equal(await sidecar.stop(), 0);
    rmSync(folder, { recursive: true });
  }
});
