{{/* The policy on trial, as if it were the policy. Takes root, values and the profile's name, if any. */}}
{{- define "zentra-sidecar.candidate" -}}
{{- $profile := list .profile "candidate" | compact | join "-" -}}
{{- dict "values" (dict "policy" .values.policy.candidate) "profile" $profile | toJson -}}
{{- end -}}

{{/* Its ConfigMap; empty where none is on trial. Takes the same. */}}
{{- define "zentra-sidecar.candidateConfigMap" -}}
{{- include "zentra-sidecar.candidate" . | fromJson | merge (dict "root" .root) | include "zentra-sidecar.policyConfigMap" -}}
{{- end -}}
