{{/* Names and labels. All take the chart's own context. */}}

{{- define "zentra-sidecar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "zentra-sidecar.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "zentra-sidecar.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "zentra-sidecar.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "zentra-sidecar.labels" -}}
{{ include "zentra-sidecar.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What selectors use: it never changes over the life of a release. */}}
{{- define "zentra-sidecar.selectorLabels" -}}
app.kubernetes.io/name: {{ include "zentra-sidecar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The ConfigMap with the policy's files; empty where there is no policy. Takes root, values and
     the profile's name, if any. */}}
{{- define "zentra-sidecar.policyConfigMap" -}}
{{- if .values.policy.existingConfigMap -}}
{{- .values.policy.existingConfigMap -}}
{{- else if .values.policy.files -}}
{{- list (include "zentra-sidecar.fullname" .root) .profile "policy" | compact | join "-" -}}
{{- end -}}
{{- end -}}
