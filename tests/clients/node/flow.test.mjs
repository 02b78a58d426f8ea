// The payment flow from Node: save a card, charge, verify, renew, refund, read back; and how
// refusals, faults and retries look to a stock client.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { call, connect, errorDetail } from "./example.mjs";
import { startSidecar } from "./sidecar.mjs";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));
const EXAMPLE = fileURLToPath(new URL("./example.mjs", import.meta.url));

let sidecar;
let payments;
let numbers = 0;

before(async () => {
  sidecar = await startSidecar();
  payments = connect(sidecar.address, PROTO);
});

after(async () => {
  payments?.close();
  assert.equal(await sidecar?.stop(), 0);
});

/** A name that no other test uses. */
const fresh = (prefix) => `${prefix}-node-${++numbers}`;
const ngn = (amountMinor) => ({ amountMinor, currency: "NGN" });

/** A customer with one saved card, and the requests by which they pay. */
async function wallet(number = "4242424242424242") {
  const customerId = fresh("cust");
  const { token } = await call(payments, "Tokenize", {
    idempotencyKey: fresh("key"),
    customerId,
    card: { number, expiryMonth: 12, expiryYear: 2034, cvv: "123", holderName: "Ada Obi" },
  });
  const payment = (reference) => ({
    idempotencyKey: fresh("key"),
    reference,
    amount: ngn(125_000),
    customerId,
    paymentTokenId: token.id,
  });
  return { customerId, token, payment };
}

/** Expects a call to fail, and decodes how. */
async function refused(method, request) {
  const error = await call(payments, method, request).then(
    () => assert.fail(`${method} was accepted`),
    (error) => error,
  );
  const { reason, domain, metadata } = errorDetail(error, "ErrorInfo") ?? {};
  const faults = errorDetail(error, "BadRequest")?.fieldViolations ?? [];
  const [pushback] = error.metadata.get("grpc-retry-pushback-ms");
  const fields = faults.map(({ field }) => field);
  return { code: error.code, reason, domain, metadata, fields, pushback };
}

describe("the flow", () => {
  test("a saved card shows no more than it may", async () => {
    const { customerId, token } = await wallet();
    assert.deepEqual(token.card, { brand: "visa", last4: "4242", expiryMonth: 12, expiryYear: 2034 });
    const listed = await call(payments, "ListTokens", { customerId });
    assert.deepEqual(listed, { tokens: [token] });
  });

  test("a renewal is refused before the verify and accepted after it", async () => {
    const { payment } = await wallet();
    const [first, second] = [fresh("order"), fresh("order")];
    const { charge, execution } = await call(payments, "Charge", payment(first));
    assert.equal(charge.status, "CHARGE_STATUS_SUCCEEDED");
    assert.equal(charge.initiator, "INITIATOR_CUSTOMER");
    assert.deepEqual(charge.amount, ngn(125_000));
    assert.equal(execution.environment, "ENVIRONMENT_SIMULATED");

    const early = await refused("Renew", payment(second));
    assert.equal(early.code, grpc.status.FAILED_PRECONDITION);
    assert.deepEqual([early.reason, early.domain], ["TOKEN_NOT_READY", "zentra-sidecar"]);
    const { request_id, provider_request_id, ...told } = early.metadata;
    assert.ok(request_id && provider_request_id);
    assert.deepEqual(told, {
      money_moved: "no",
      sent: "true",
      reference: second,
      provider_code: "token_not_ready",
    });
    assert.equal(early.pushback, "-1");
    assert.deepEqual((await sidecar.ledger(second)).charges, []);

    const verified = await call(payments, "Verify", { reference: first, wait: { seconds: 10 } });
    assert.equal(verified.tokenReady, true);
    const renewed = await call(payments, "Renew", payment(fresh("order")));
    assert.equal(renewed.charge.status, "CHARGE_STATUS_SUCCEEDED");
    assert.equal(renewed.charge.initiator, "INITIATOR_MERCHANT");
  });

  test("a refund in part, then the rest", async () => {
    const { payment } = await wallet();
    const order = fresh("order");
    await call(payments, "Charge", payment(order));
    const refund = (amount) => ({
      idempotencyKey: fresh("key"),
      reference: fresh("refund"),
      chargeReference: order,
      amount,
    });
    const status = async () => (await call(payments, "GetCharge", { reference: order })).charge.status;

    const part = await call(payments, "Refund", refund(ngn(25_000)));
    assert.equal(part.refund.status, "REFUND_STATUS_SUCCEEDED");
    assert.equal(await status(), "CHARGE_STATUS_PARTIALLY_REFUNDED");
    const rest = await call(payments, "Refund", refund());
    assert.deepEqual(rest.refund.amount, ngn(100_000));
    assert.equal(await status(), "CHARGE_STATUS_REFUNDED");
    const read = await call(payments, "GetRefund", { reference: rest.refund.reference });
    assert.deepEqual(read.refund, rest.refund);
  });

  test("a declined payment is an answer, not an error", async () => {
    const { payment } = await wallet("4000000000000002");
    const { charge } = await call(payments, "Charge", payment(fresh("order")));
    assert.equal(charge.status, "CHARGE_STATUS_FAILED");
    assert.equal(charge.failure.code, "card_declined");
  });

  test("charges are listed page by page, the newest first", async () => {
    const { payment } = await wallet();
    const made = [fresh("order"), fresh("order"), fresh("order")];
    for (const order of made) {
      await call(payments, "Charge", payment(order));
    }
    const first = await call(payments, "ListCharges", { pageSize: 2 });
    const second = await call(payments, "ListCharges", { pageSize: 2, pageToken: first.nextPageToken });
    const listed = [...first.charges, ...second.charges].map(({ reference }) => reference);
    assert.deepEqual(listed.slice(0, 3), made.reverse());
  });
});

describe("refusals and retries", () => {
  test("every fault of a request is told at once", async () => {
    const refusal = await refused("Charge", {
      idempotencyKey: "..",
      reference: "../x",
      amount: { amountMinor: 0, currency: "ngn" },
      customerId: "a b",
    });
    assert.equal(refusal.code, grpc.status.INVALID_ARGUMENT);
    assert.equal(refusal.reason, "INVALID_REQUEST");
    assert.deepEqual(refusal.fields, [
      "idempotency_key",
      "reference",
      "amount.amount_minor",
      "amount.currency",
      "customer_id",
      "payment_token_id",
    ]);
    assert.equal(refusal.pushback, "-1");
  });

  test("what does not exist is not found", async () => {
    const refusal = await refused("GetCharge", { reference: fresh("none") });
    assert.equal(refusal.code, grpc.status.NOT_FOUND);
    assert.equal(refusal.reason, "NOT_FOUND");
  });

  test("the same key at once and again is one payment", async () => {
    const { payment } = await wallet();
    const order = fresh("order");
    const request = payment(order);
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(payments, "Charge", request)));
    answers.push(await call(payments, "Charge", request));
    assert.equal(new Set(answers.map(({ charge }) => charge.id)).size, 1);
    assert.equal((await sidecar.ledger(order)).charges.length, 1);

    const other = await refused("Charge", { ...request, amount: ngn(1) });
    assert.equal(other.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(other.reason, "IDEMPOTENCY_KEY_REUSED");
  });
});

describe("what stands beside the contract", () => {
  test("health says serving", async () => {
    const definition = loadSync(fileURLToPath(new URL("./health.proto", import.meta.url)), { enums: String });
    const { Health } = grpc.loadPackageDefinition(definition).grpc.health.v1;
    const health = new Health(sidecar.address, grpc.credentials.createInsecure());
    const answer = await call(health, "Check", { service: "zentra.gateway.v1.PaymentService" });
    health.close();
    assert.deepEqual(answer, { status: "SERVING" });
  });

  test("the README's example runs as it stands", async () => {
    const order = fresh("order");
    const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE, sidecar.address, order, PROTO]);
    assert.deepEqual(stdout.split("\n"), [
      "charged: CHARGE_STATUS_SUCCEEDED, ready: true",
      "renewed: CHARGE_STATUS_SUCCEEDED",
      "refunded: NGN 125000 minor units",
      "",
    ]);
    const ledger = await sidecar.ledger(order);
    assert.deepEqual(ledger.charges.map(({ reference }) => reference), [order]);
  });
});
