{{/* Peers of network policies, as far as values.schema.json cannot say it. */}}

{{/* Not empty where one block of addresses is a part of another, and not all of it. Takes part and whole. */}}
{{- define "zentra-sidecar.isPart" -}}
{{- $part := splitList "/" .part -}}
{{- $whole := splitList "/" .whole -}}
{{- $bits := last $whole | int -}}
{{- $one := first $part | include "zentra-sidecar.bits" -}}
{{- $other := first $whole | include "zentra-sidecar.bits" -}}
{{- if and (eq (len $one) (len $other)) (gt (last $part | int) $bits) (eq (trunc $bits $one) (trunc $bits $other)) -}}
part
{{- end -}}
{{- end -}}

{{/* Kubernetes refuses an exception that is not in its block. Takes the chart's own context. */}}
{{- define "zentra-sidecar.peerFaults" -}}
{{- $to := .Values.networkPolicy -}}
{{- $peers := dict "callers" $to.callers "monitoring" $to.monitoring "dns.to" $to.dns.to "store.to" $to.store.to
      "zentra.to" $to.zentra.to "telemetry.to" $to.telemetry.to -}}
{{- range $name, $list := $peers }}
{{- range $place, $peer := $list }}
{{- $block := default dict $peer.ipBlock }}
{{- range $number, $part := $block.except }}
{{- if not (include "zentra-sidecar.isPart" (dict "part" $part "whole" $block.cidr)) }}
networkPolicy.{{ $name }}[{{ $place }}].ipBlock.except[{{ $number }}] is no part of its cidr that could be excepted from it
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
