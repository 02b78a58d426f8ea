{{/* Names and labels. All take the chart's own context. */}}

{{/* The value of a label: also where it was cut, it ends with a letter or digit. */}}
{{- define "zentra-sidecar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimAll "-._" -}}
{{- end -}}

{{/* Begins the names of objects: a DNS label of RFC 1035, as a Service's name has to be. A
     release's name may have dots and begin with a digit. Where the name had to be changed or cut, a
     piece of its hash stands at the end: two that differ must not become one. */}}
{{- define "zentra-sidecar.fullname" -}}
{{- $name := include "zentra-sidecar.name" . -}}
{{- $full := printf "%s-%s" .Release.Name $name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if eq .Release.Name $name -}}
{{- $full = $name -}}
{{- end -}}
{{- $made := regexReplaceAll "[^a-z0-9-]" (lower $full) "-" | trimAll "-" -}}
{{- if regexMatch "^[0-9]" $made -}}{{- $made = printf "z-%s" $made -}}{{- end -}}
{{- if or (ne $made $full) (gt (len $made) 40) -}}
{{- printf "%s-%s" (trunc 31 $made | trimAll "-") (sha256sum $full | trunc 8) -}}
{{- else -}}
{{- $made -}}
{{- end -}}
{{- end -}}

{{/* The chart's own labels over the values' commonLabels, over those of one object. Takes root and
     optionally component, profile and more (a map). */}}
{{- define "zentra-sidecar.labelsOf" -}}
{{- $root := .root -}}
{{- $own := dict
      "app.kubernetes.io/version" $root.Chart.AppVersion
      "app.kubernetes.io/managed-by" $root.Release.Service
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimAll "-._") -}}
{{- $selector := include "zentra-sidecar.selectorLabels" . | fromYaml -}}
{{- merge $selector $own $root.Values.commonLabels (default dict .more) | toYaml -}}
{{- end -}}

{{/* What selectors use: it never changes over the life of a release, unless somebody changes nameOverride,
     which an upgrade of a Deployment of the same name does not survive. Takes root and optionally
     component and profile. */}}
{{- define "zentra-sidecar.selectorLabels" -}}
{{- $labels := dict
      "app.kubernetes.io/name" (include "zentra-sidecar.name" .root)
      "app.kubernetes.io/instance" .root.Release.Name -}}
{{- with .component }}{{- $_ := set $labels "app.kubernetes.io/component" . -}}{{- end -}}
{{- with .profile }}{{- $_ := set $labels "zentra.io/profile" . -}}{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* The name of a reconciler's objects. Takes root and the profile's name, if any. */}}
{{- define "zentra-sidecar.reconcilerName" -}}
{{- list (include "zentra-sidecar.fullname" .root) "reconciler" .profile | compact | join "-" -}}
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
