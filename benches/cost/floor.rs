//! The floor: what any gRPC service spends that turns a call into one HTTP request, and no more.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_server::{PaymentService, PaymentServiceServer};

struct Floor {
    client: reqwest::Client,
    address: String,
}

/// Serves over the upstream at `address`; the first line of its output is its own.
pub(crate) async fn serve(address: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(1024)
        .no_proxy()
        .build()
        .unwrap();
    let floor = Floor { client, address: format!("http://{address}/api/v1/payments/charges") };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    tonic::transport::Server::builder()
        .add_service(PaymentServiceServer::new(floor))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}

fn absent<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the floor makes charges only"))
}

#[tonic::async_trait]
impl PaymentService for Floor {
    async fn charge(
        &self,
        request: Request<proto::ChargeRequest>,
    ) -> Result<Response<proto::ChargeResponse>, Status> {
        let asked = request.into_inner();
        let amount = asked.amount.unwrap_or_default();
        let body = json!({
            "amount_minor": amount.amount_minor,
            "currency": amount.currency,
            "reference": asked.reference,
            "customer_id": asked.customer_id,
            "payment_token_id": asked.payment_token_id,
            "capture_mode": "customer_action_required",
            "idempotency_key": asked.idempotency_key,
        });
        let failed = |fault: reqwest::Error| Status::unavailable(fault.to_string());
        let answer = self
            .client
            .post(&self.address)
            .header("authorization", "Bearer sk_simulated_1")
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .map_err(failed)?;
        let told = answer.bytes().await.map_err(failed)?;
        let told: Value = serde_json::from_slice(&told).unwrap_or_default();
        let data = &told["data"];
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let amount = proto::Money {
            amount_minor: data["amount_minor"].as_i64().unwrap_or_default(),
            currency: text("currency"),
        };
        let charge = proto::Charge {
            id: text("id"),
            reference: text("reference"),
            amount: Some(amount),
            customer_id: text("customer_id"),
            payment_token_id: text("payment_token_id"),
            initiator: proto::Initiator::Customer.into(),
            status: proto::ChargeStatus::Succeeded.into(),
            provider_status: text("status"),
            ..proto::Charge::default()
        };
        Ok(Response::new(proto::ChargeResponse { charge: Some(charge), execution: None }))
    }

    async fn tokenize(
        &self,
        _: Request<proto::TokenizeRequest>,
    ) -> Result<Response<proto::TokenizeResponse>, Status> {
        absent()
    }

    async fn verify(
        &self,
        _: Request<proto::VerifyRequest>,
    ) -> Result<Response<proto::VerifyResponse>, Status> {
        absent()
    }

    async fn refund(
        &self,
        _: Request<proto::RefundRequest>,
    ) -> Result<Response<proto::RefundResponse>, Status> {
        absent()
    }

    async fn renew(
        &self,
        _: Request<proto::RenewRequest>,
    ) -> Result<Response<proto::RenewResponse>, Status> {
        absent()
    }

    async fn get_charge(
        &self,
        _: Request<proto::GetChargeRequest>,
    ) -> Result<Response<proto::GetChargeResponse>, Status> {
        absent()
    }

    async fn list_charges(
        &self,
        _: Request<proto::ListChargesRequest>,
    ) -> Result<Response<proto::ListChargesResponse>, Status> {
        absent()
    }

    async fn get_refund(
        &self,
        _: Request<proto::GetRefundRequest>,
    ) -> Result<Response<proto::GetRefundResponse>, Status> {
        absent()
    }

    async fn list_tokens(
        &self,
        _: Request<proto::ListTokensRequest>,
    ) -> Result<Response<proto::ListTokensResponse>, Status> {
        absent()
    }
}
