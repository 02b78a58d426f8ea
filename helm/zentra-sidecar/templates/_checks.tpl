{{/* What values.schema.json cannot say. All faults are told at once. */}}

{{/* Faults of what every container of the program needs, one a line. Takes values and a prefix for
     the names of values. */}}
{{- define "zentra-sidecar.programFaults" -}}
{{- if not .values.image.repository }}
image.repository is required: there is no public image; build it with scripts/image and push it to your registry
{{- end }}
{{- if not .values.zentra.keySecret.name }}
{{ .prefix }}zentra.keySecret.name is required: the Secret with Zentra's secret key
{{- end }}
{{- if not .values.store.url }}
{{ .prefix }}store.url is required: the Redis that all sidecars of the account share
{{- end }}
{{- if not .values.fingerprint.secret.name }}
{{ .prefix }}fingerprint.secret.name is required: the Secret with the fingerprint keys
{{- end }}
{{- if and .values.policy.files .values.policy.existingConfigMap }}
{{ .prefix }}policy.files and policy.existingConfigMap exclude each other
{{- end }}
{{- with .values.policy.candidate }}
{{- if and .files .existingConfigMap }}
{{ $.prefix }}policy.candidate.files and policy.candidate.existingConfigMap exclude each other
{{- end }}
{{- if and (or .files .existingConfigMap) (not (or $.values.policy.files $.values.policy.existingConfigMap)) }}
{{ $.prefix }}policy.candidate stands beside a policy: policy.files or policy.existingConfigMap is missing
{{- end }}
{{- end }}
{{- if eq (int .values.sidecar.port) (int .values.sidecar.adminPort) }}
{{ .prefix }}sidecar.port and sidecar.adminPort must differ
{{- end }}
{{- end -}}

{{- define "zentra-sidecar.gatewayFaults" -}}
{{- $gateway := .Values.gateway -}}
{{- if not $gateway.tls.secretName }}
gateway.tls.secretName is required: the gateway serves with mutual TLS only
{{- end }}
{{- if not $gateway.tls.trustDomain }}
gateway.tls.trustDomain is required: the SPIFFE trust domain of the callers
{{- end }}
{{- if not $gateway.tls.allowedIds }}
gateway.tls.allowedIds is required: the SPIFFE ids that may call, such as spiffe://example.org/ns/shop/*
{{- end }}
{{- if eq (int $gateway.port) (int $gateway.adminPort) }}
gateway.port and gateway.adminPort must differ
{{- end }}
{{- if and $gateway.autoscaling.enabled (gt (int $gateway.autoscaling.minReplicas) (int $gateway.autoscaling.maxReplicas)) }}
gateway.autoscaling.minReplicas must not be above maxReplicas
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.callers) }}
networkPolicy.callers is required in mode gateway: who may call it
{{- end }}
{{- end -}}

{{- define "zentra-sidecar.injectFaults" -}}
{{- if not .Values.inject.namespaces }}
inject.namespaces is required: the namespaces whose pods may be injected
{{- end }}
{{- if not .Values.inject.profiles }}
inject.profiles is required: what the label zentra.io/inject may name
{{- end }}
{{- range $name, $profile := .Values.inject.profiles }}
{{- $values := deepCopy $.Values }}
{{- include "zentra-sidecar.override" (dict "into" $values "from" $profile) }}
{{- include "zentra-sidecar.programFaults" (dict "values" $values "prefix" (printf "inject.profiles.%s: " $name)) }}
{{- end }}
{{- end -}}

{{- define "zentra-sidecar.trialFaults" -}}
{{- if ne .Values.mode "include" }}
trial.enabled belongs to mode include
{{- end }}
{{- if not .Values.trial.image.repository }}
trial.image.repository is required: the development image, built with scripts/image
{{- end }}
{{- if ne .Values.zentra.url "http://127.0.0.1:8089" }}
zentra.url must be http://127.0.0.1:8089 with trial.enabled: the simulator is in the same pod
{{- end }}
{{- end -}}

{{/* Ends the rendering where there are faults. Takes their text. */}}
{{- define "zentra-sidecar.refuse" -}}
{{- $faults := list -}}
{{- range splitList "\n" . -}}
{{- if trim . -}}{{- $faults = append $faults (trim .) -}}{{- end -}}
{{- end -}}
{{- with uniq $faults -}}
{{- fail (printf "%d values are wrong:\n  %s" (len .) (join "\n  " .)) -}}
{{- end -}}
{{- end -}}

{{- define "zentra-sidecar.checkSidecar" -}}
{{- include "zentra-sidecar.refuse" (include "zentra-sidecar.programFaults" (dict "values" .Values "prefix" "")) -}}
{{- end -}}

{{- define "zentra-sidecar.check" -}}
{{- $faults := "" -}}
{{- $own := or (eq .Values.mode "gateway") .Values.reconciler.enabled .Values.trial.enabled -}}
{{- if $own -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.programFaults" (dict "values" .Values "prefix" "")) -}}
{{- end -}}
{{- if eq .Values.mode "gateway" -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.gatewayFaults" .) -}}
{{- end -}}
{{- if eq .Values.mode "inject" -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.injectFaults" .) -}}
{{- end -}}
{{- if .Values.trial.enabled -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.trialFaults" .) -}}
{{- end -}}
{{- include "zentra-sidecar.refuse" $faults -}}
{{- end -}}
