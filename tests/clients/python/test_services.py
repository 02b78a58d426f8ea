"""The services that every gRPC tool looks for: health and reflection."""

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from wallet import TIMEOUT_SECONDS

OURS = "zentra.gateway.v1.PaymentService"
HEALTH = "grpc.health.v1.Health"


@pytest.mark.parametrize("service", ["", OURS])
def test_health_says_serving(channel, service):
    request = health_pb2.HealthCheckRequest(service=service)
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(request, timeout=TIMEOUT_SECONDS).status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(request, timeout=TIMEOUT_SECONDS)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_health_does_not_know_other_services(channel):
    request = health_pb2.HealthCheckRequest(service="zentra.gateway.v1.Nothing")
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_SECONDS)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services_and_describes_them(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {OURS, HEALTH} <= set(database.get_services())
    service = DescriptorPool(database).FindServiceByName(OURS)
    assert [method.name for method in service.methods] == [
        "Tokenize", "Charge", "Verify", "Refund", "Renew", "GetCharge", "ListCharges", "GetRefund", "ListTokens",
    ]
    card = service.methods_by_name["Tokenize"].input_type.fields_by_name["card"].message_type
    assert card.fields_by_name["number"].GetOptions().debug_redact


def test_reflection_of_the_later_version_lists_the_same(channel):
    # The two versions have the same messages on the wire; the package has only the older one's.
    call = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(call(iter([request]), timeout=TIMEOUT_SECONDS))
    assert {OURS, HEALTH} <= {service.name for service in answer.list_services_response.service}
