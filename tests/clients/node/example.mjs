// Takes a payment through the sidecar, from saving the card to a refund.
//
//     npm install @grpc/grpc-js @grpc/proto-loader nice-grpc-error-details
//     node example.mjs 127.0.0.1:50051 order-1001 proto

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import errorDetails from "nice-grpc-error-details";
import statusMessage from "nice-grpc-error-details/lib/proto/google/rpc/status.js";

/** The service config retries what may be retried; each key is still paid once. */
export function connect(address, protoFolder, credentials = grpc.credentials.createInsecure(), more = {}) {
  const definition = loadSync("zentra/gateway/v1/payment_service.proto", {
    includeDirs: [protoFolder],
    enums: String,
    longs: Number, // no amount is larger than a JavaScript number carries exactly
  });
  const { PaymentService } = grpc.loadPackageDefinition(definition).zentra.gateway.v1;
  const serviceConfig = readFileSync(`${protoFolder}/service_config.json`, "utf8");
  const options = { "grpc.service_config": serviceConfig, ...more };
  return new PaymentService(address, credentials, options);
}

/** The certificate says who calls; the bundle says whose sidecars are trusted. */
export function certificate(folder) {
  const names = ["ca.pem", "client-key.pem", "client.pem"];
  const [bundle, key, chain] = names.map((name) => readFileSync(`${folder}/${name}`));
  return grpc.credentials.createSsl(bundle, key, chain);
}

/** Calls one method with a deadline. */
export function call(client, method, request, seconds = 20) {
  const deadline = new Date(Date.now() + seconds * 1000);
  return promisify(client[method]).call(client, request, { deadline });
}

/** One google.rpc detail of an error, such as "ErrorInfo", or undefined. */
export function errorDetail(error, kind) {
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const { details } = packed ? statusMessage.Status.decode(packed) : { details: [] };
  const found = details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${kind}`));
  return found && errorDetails[kind].decode(found.value);
}

export async function pay(payments, order) {
  // Keys come from the order, not from chance: after a crash the same order gives the same key.
  const { token } = await call(payments, "Tokenize", {
    idempotencyKey: `${order}:token`,
    customerId: "cust_ada",
    card: { number: "4242424242424242", expiryMonth: 12, expiryYear: 2034, cvv: "123" },
  });
  const payment = {
    amount: { amountMinor: 125_000, currency: "NGN" }, // NGN 1,250.00
    customerId: "cust_ada",
    paymentTokenId: token.id,
  };
  try {
    const request = { idempotencyKey: `${order}:charge`, reference: order, ...payment };
    const { charge } = await call(payments, "Charge", request);
    if (charge.status === "CHARGE_STATUS_FAILED") {
      console.log(`declined: ${charge.failure.code}`); // an answer, not an error
      return;
    }
  } catch (error) {
    if (errorDetail(error, "ErrorInfo")?.metadata.money_moved !== "no") {
      console.log("Nobody can say yet whether it was paid: keep the order open, same key again.");
    }
    throw error;
  }
  // Waits until the charge is final, and makes the saved card ready for renewals.
  const verified = await call(payments, "Verify", { reference: order, wait: { seconds: 10 } });
  console.log(`charged: ${verified.charge.status}, ready: ${verified.tokenReady}`);

  const renewal = { idempotencyKey: `${order}-2:renew`, reference: `${order}-2`, ...payment };
  const renewed = await call(payments, "Renew", renewal);
  console.log(`renewed: ${renewed.charge.status}`);

  const { refund } = await call(payments, "Refund", {
    idempotencyKey: `${order}:refund`,
    reference: `${order}-refund`,
    chargeReference: order,
    reason: "Ordered twice",
  });
  console.log(`refunded: ${refund.amount.currency} ${refund.amount.amountMinor} minor units`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [address, order, protoFolder] = process.argv.slice(2);
  const payments = connect(address, protoFolder);
  await pay(payments, order).finally(() => payments.close());
}
