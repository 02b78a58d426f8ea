{{/* What values.schema.json cannot say. All faults are told at once, one a line:
     each by its place, as the value may be a secret that is in the wrong one. */}}

{{/* Faults of what every container of the program needs. Takes values and a prefix for the names of
     values. */}}
{{- define "zentra-sidecar.programFaults" -}}
{{- if not .values.image.repository }}
image.repository is required: there is no public image; build it with scripts/image and push it to your registry
{{- end }}
{{- if not .values.zentra.keySecret.name }}
{{ .prefix }}zentra.keySecret.name is required: the Secret with Zentra's secret key
{{- end }}
{{- if not (or .values.store.url .values.trialRedis.enabled) }}
{{ .prefix }}store.url is required: the Redis that all sidecars of the account share
{{- end }}
{{- if not .values.fingerprint.secret.name }}
{{ .prefix }}fingerprint.secret.name is required: the Secret with the fingerprint keys
{{- end }}
{{- if hasSuffix "-candidate: " .prefix }}
{{ .prefix }}the name of a profile must not end in -candidate, as the ConfigMap of a policy on trial does
{{- end }}
{{- if and .values.policy.files .values.policy.existingConfigMap }}
{{ .prefix }}policy.files and policy.existingConfigMap exclude each other
{{- end }}
{{- if and .values.policy.files (not (regexMatch "\\.cedar(,|$)" (keys .values.policy.files | join ","))) }}
{{ .prefix }}policy.files holds no rules: no name ends in .cedar, and nothing would be permitted
{{- end }}
{{- with .values.policy.candidate }}
{{- if and .files .existingConfigMap }}
{{ $.prefix }}policy.candidate.files and policy.candidate.existingConfigMap exclude each other
{{- end }}
{{- if and .files (not (regexMatch "\\.cedar(,|$)" (keys .files | join ","))) }}
{{ $.prefix }}policy.candidate.files holds no rules: no name ends in .cedar, and nothing would be permitted
{{- end }}
{{- if and (or .files .existingConfigMap) (not (or $.values.policy.files $.values.policy.existingConfigMap)) }}
{{ $.prefix }}policy.candidate stands beside a policy: policy.files or policy.existingConfigMap is missing
{{- end }}
{{- end }}
{{- if eq (int .values.sidecar.port) (int .values.sidecar.adminPort) }}
{{ .prefix }}sidecar.port and sidecar.adminPort must differ
{{- end }}
{{- include "zentra-sidecar.startFaults" . }}
{{- include "zentra-sidecar.resourceFaults" . }}
{{- end -}}

{{/* What the program itself would refuse at its start, in every pod anew. Takes values and prefix. */}}
{{- define "zentra-sidecar.startFaults" -}}
{{- $settings := .values.settings -}}
{{- $lease := ternary (get $settings "leaseSeconds") 10 (hasKey $settings "leaseSeconds") | int -}}
{{- $connect := ternary (get $settings "connectTimeoutMs") 1000 (hasKey $settings "connectTimeoutMs") | int -}}
{{- if lt (mul $lease 1000) (mul $connect 3) }}
{{ .prefix }}settings.leaseSeconds must be at least three times settings.connectTimeoutMs (where they are left out, 10 s and 1000 ms)
{{- end }}
{{- include "zentra-sidecar.addressFaults" . }}
{{- if and (hasPrefix "http:" (default "" .values.zentra.url)) .values.zentra.proxy }}
{{- if not (regexMatch "^(localhost|127\\.[0-9.]+|::1)$" (urlParse .values.zentra.proxy).hostname) }}
{{ .prefix }}zentra.proxy must be on the same machine where zentra.url is http
{{- end }}
{{- end }}
{{- range splitList "/" .values.sidecar.caller }}
{{- if gt (len .) 128 }}
{{ $.prefix }}sidecar.caller must have at most 128 characters between two slashes
{{- end }}
{{- end }}
{{- $telemetry := .values.openTelemetry }}
{{- if and (hasSuffix "traceidratio" (default "" (get $telemetry "OTEL_TRACES_SAMPLER"))) (not (get $telemetry "OTEL_TRACES_SAMPLER_ARG")) }}
{{ .prefix }}openTelemetry.OTEL_TRACES_SAMPLER_ARG is required with this sampler: a number from 0 to 1
{{- end }}
{{- end -}}

{{/* A quantity of Kubernetes as a number. Takes the quantity, a text or a number. */}}
{{- define "zentra-sidecar.quantity" -}}
{{- if kindIs "string" . -}}
{{- $factors := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $factors (regexFind "[A-Za-z]*$" .) | float64) | printf "%f" -}}
{{- else -}}
{{- float64 . | printf "%f" -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes refuses such pods, with a message at their owner that few would look for. */}}
{{- define "zentra-sidecar.resourceFaults" -}}
{{- $limits := default dict .values.resources.limits -}}
{{- range $name, $request := default dict .values.resources.requests }}
{{- if hasKey $limits $name }}
{{- $limit := get $limits $name }}
{{- if gt (include "zentra-sidecar.quantity" $request | float64) (include "zentra-sidecar.quantity" $limit | float64) }}
{{ $.prefix }}resources.requests.{{ $name }} must not be above resources.limits.{{ $name }}
{{- end }}
{{- end }}
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
{{- range $place, $id := $gateway.tls.allowedIds }}
{{- if not (hasPrefix (printf "spiffe://%s/" $gateway.tls.trustDomain) $id) }}
gateway.tls.allowedIds[{{ $place }}] is not of gateway.tls.trustDomain
{{- end }}
{{- end }}
{{- if eq (int $gateway.port) (int $gateway.adminPort) }}
gateway.port and gateway.adminPort must differ
{{- end }}
{{- if $gateway.autoscaling.enabled }}
{{- if gt (int $gateway.autoscaling.minReplicas) (int $gateway.autoscaling.maxReplicas) }}
gateway.autoscaling.minReplicas must not be above maxReplicas
{{- end }}
{{- if not (dig "requests" "cpu" "" .Values.resources) }}
resources.requests.cpu is required with gateway.autoscaling: what the share of is aimed at
{{- end }}
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
{{- range $profile := include "zentra-sidecar.profiles" . | fromJsonArray }}
{{- $part := dict "prefix" (printf "inject.profiles.%s: " $profile) }}
{{- include "zentra-sidecar.part" (dict "into" $part "root" $ "profile" $profile "component" "sidecar") }}
{{- include "zentra-sidecar.programFaults" $part }}
{{- if and $.Values.networkPolicy.enabled $.Values.reconciler.enabled }}
{{- include "zentra-sidecar.egressFaults" $part }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "zentra-sidecar.trialFaults" -}}
{{- if ne .Values.mode "include" }}
trial.enabled belongs to mode include
{{- end }}
{{- if .Values.reconciler.enabled }}
reconciler.enabled and trial.enabled exclude each other: the simulator serves the trial's own pod alone
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
{{- $chart := dict "values" .Values "prefix" "" -}}
{{- if not .Values.enabled -}}
{{- $faults = print $faults "\nenabled is for the condition of a chart that depends on this one; without one it switches nothing off" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (ne .Values.mode "gateway") (not .Values.reconciler.enabled) -}}
{{- $faults = print $faults "\nnetworkPolicy.enabled restricts the chart's own pods, and there are none: a pod with a sidecar has the policies of its service" -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.peerFaults" .) -}}
{{- if and .Values.podMonitor.enabled (not .Values.networkPolicy.monitoring) -}}
{{- $faults = print $faults "\nnetworkPolicy.monitoring is required with podMonitor.enabled: where Prometheus is; without it no scrape reaches the chart's own pods" -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "inject" -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.injectFaults" .) -}}
{{- else if or (eq .Values.mode "gateway") .Values.reconciler.enabled .Values.trial.enabled -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.programFaults" $chart) -}}
{{- if and .Values.networkPolicy.enabled (or (eq .Values.mode "gateway") .Values.reconciler.enabled) -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.egressFaults" $chart) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "gateway" -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.gatewayFaults" .) -}}
{{- end -}}
{{- if .Values.trial.enabled -}}
{{- $faults = print $faults "\n" (include "zentra-sidecar.trialFaults" .) -}}
{{- end -}}
{{- include "zentra-sidecar.refuse" $faults -}}
{{- end -}}
