{{/* What a service's own chart uses, with the service's context (or with
     `index .Subcharts "alias"`, where the dependency has an alias):

       initContainers:
         {{- include "zentra-sidecar.container" . | nindent 8 }}
       volumes:
         {{- include "zentra-sidecar.volumes" . | nindent 8 }}
       imagePullSecrets:
         {{- include "zentra-sidecar.imagePullSecrets" . | nindent 8 }}
       labels:
         {{- include "zentra-sidecar.podLabels" . | nindent 8 }}
*/}}

{{/* Ends the rendering where the context is another chart's. Takes it. */}}
{{- define "zentra-sidecar.checkContext" -}}
{{- if not (and (hasKey .Values "fingerprint") (hasKey .Values "openTelemetryHeadersSecret")) -}}
{{- fail "this is not the context of the chart zentra-sidecar: give its templates `.`, or `(index .Subcharts \"alias\")` where the dependency has an alias" -}}
{{- end -}}
{{- end -}}

{{/* One item of initContainers: the sidecar as a native sidecar. Put it first. */}}
{{- define "zentra-sidecar.container" -}}
{{- $root := get (default dict .Subcharts) "zentra-sidecar" | default . -}}
{{- include "zentra-sidecar.checkContext" $root -}}
{{- include "zentra-sidecar.checkSidecar" $root -}}
- {{- include "zentra-sidecar.programContainer" (dict "root" $root "values" $root.Values "component" "sidecar") | nindent 2 }}
{{- end -}}

{{/* Items of volumes. */}}
{{- define "zentra-sidecar.volumes" -}}
{{- $root := get (default dict .Subcharts) "zentra-sidecar" | default . -}}
{{- include "zentra-sidecar.checkContext" $root -}}
{{- include "zentra-sidecar.programVolumes" (dict "root" $root "values" $root.Values "component" "sidecar") }}
{{- end -}}

{{/* Items of imagePullSecrets, for a registry that needs them: those of image.pullSecrets. */}}
{{- define "zentra-sidecar.imagePullSecrets" -}}
{{- $root := get (default dict .Subcharts) "zentra-sidecar" | default . -}}
{{- include "zentra-sidecar.checkContext" $root -}}
{{- range $root.Values.image.pullSecrets }}
- name: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The label by which the PodMonitor finds the pods: one for each dependency of a release, so that two
     accounts are not taken for one. */}}
{{- define "zentra-sidecar.podLabels" -}}
{{- $root := get (default dict .Subcharts) "zentra-sidecar" | default . -}}
{{- include "zentra-sidecar.checkContext" $root -}}
zentra.io/sidecar: {{ include "zentra-sidecar.fullname" $root | quote }}
{{- end -}}
