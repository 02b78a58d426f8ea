#!/usr/bin/env bash
# The command lines of the README, against a sidecar that `zentra-sidecar dev` runs.
#
# Run as a whole: scripts/readme-examples.sh. The tests run them one by one against a sidecar of
# their own, and compare each output with what stands in the `# prints:` lines below it; they also
# see to it that the README shows no other command than these.
set -euo pipefail
cd "$(dirname "$0")/.."

# Which services there are, and what a method takes
grpcurl -plaintext 127.0.0.1:50051 list
# prints: zentra.gateway.v1.PaymentService
grpcurl -plaintext 127.0.0.1:50051 describe zentra.gateway.v1.RenewRequest
# prints: string payment_token_id = 5

# Is it ready to serve?
grpcurl -plaintext 127.0.0.1:50051 grpc.health.v1.Health/Check
# prints: "status": "SERVING"

# Save a card
grpcurl -plaintext -d '{
  "idempotency_key": "readme:token", "customer_id": "cust_ada",
  "card": {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2034, "cvv": "123"}
}' 127.0.0.1:50051 zentra.gateway.v1.PaymentService/Tokenize | tee /tmp/token.json
# prints: "last4": "4242"
# prints: "environment": "ENVIRONMENT_SIMULATED"

# Charge it: NGN 1,250.00, in kobo
TOKEN=$(grep -o 'tok_[A-Za-z0-9]*' /tmp/token.json)
grpcurl -plaintext -d '{
  "idempotency_key": "readme:charge", "reference": "readme-1001", "customer_id": "cust_ada",
  "payment_token_id": "'"$TOKEN"'", "amount": {"amount_minor": 125000, "currency": "NGN"}
}' 127.0.0.1:50051 zentra.gateway.v1.PaymentService/Charge
# prints: "status": "CHARGE_STATUS_SUCCEEDED"

# Ask for its final status, and make the card ready for renewals (with buf)
buf curl --schema proto --protocol grpc --http2-prior-knowledge \
  -d '{"reference": "readme-1001", "wait": "10s"}' \
  http://127.0.0.1:50051/zentra.gateway.v1.PaymentService/Verify
# prints: "tokenReady": true

# Renew without the customer
grpcurl -plaintext -d '{
  "idempotency_key": "readme:renew", "reference": "readme-1002", "customer_id": "cust_ada",
  "payment_token_id": "'"$TOKEN"'", "amount": {"amount_minor": 125000, "currency": "NGN"}
}' 127.0.0.1:50051 zentra.gateway.v1.PaymentService/Renew
# prints: "initiator": "INITIATOR_MERCHANT"
# prints: "status": "CHARGE_STATUS_SUCCEEDED"

# Give a part of it back
grpcurl -plaintext -d '{
  "idempotency_key": "readme:refund", "reference": "readme-refund-1", "charge_reference": "readme-1001",
  "amount": {"amount_minor": 25000, "currency": "NGN"}, "reason": "One item was missing"
}' 127.0.0.1:50051 zentra.gateway.v1.PaymentService/Refund
# prints: "status": "REFUND_STATUS_SUCCEEDED"

# Read the charge back (buf finds the contract by reflection)
buf curl --protocol grpc --http2-prior-knowledge -d '{"reference": "readme-1001"}' \
  http://127.0.0.1:50051/zentra.gateway.v1.PaymentService/GetCharge
# prints: "status": "CHARGE_STATUS_PARTIALLY_REFUNDED"

# What a faulty request is told
grpcurl -plaintext -d '{"reference": "../x", "amount": {"amount_minor": -5, "currency": "ngn"}}' \
  127.0.0.1:50051 zentra.gateway.v1.PaymentService/Charge || true
# prints: Code: InvalidArgument
# prints: "reason":"INVALID_REQUEST"
# prints: "field":"amount.currency"
