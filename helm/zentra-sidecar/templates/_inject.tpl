{{/* Lays a profile's values over the chart's, empty ones too. Maps of names of one's own (the policy's
     files, settings, OpenTelemetry's variables) are taken as they are: what the chart has beside them
     would stay in force without standing in the profile. Takes into, which changes, and from. */}}
{{- define "zentra-sidecar.override" -}}
{{- range $name, $value := .from -}}
{{- $old := get $.into $name -}}
{{- $whole := has $name (list "files" "settings" "openTelemetry") -}}
{{- if and (kindIs "map" $value) (kindIs "map" $old) (not $whole) -}}
{{- include "zentra-sidecar.override" (dict "into" $old "from" $value) -}}
{{- else -}}
{{- $_ := set $.into $name $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* One of the two ways to name a policy takes the place of the other. Takes into, which changes, and
     from, what a profile says. */}}
{{- define "zentra-sidecar.oneWay" -}}
{{- if and .from.files (not (hasKey .from "existingConfigMap")) -}}
{{- $_ := set .into "existingConfigMap" "" -}}
{{- else if and .from.existingConfigMap (not (hasKey .from "files")) -}}
{{- $_ := set .into "files" dict -}}
{{- end -}}
{{- end -}}

{{/* What a profile's container is made of: the chart's values with the profile's over them. Changes
     into, a map, to root, values, profile and component. Takes into, root, profile and component; no
     profile stands for the chart's own values. */}}
{{- define "zentra-sidecar.part" -}}
{{- $values := deepCopy .root.Values -}}
{{- if .profile -}}
{{- $own := get .root.Values.inject.profiles .profile -}}
{{- include "zentra-sidecar.override" (dict "into" $values "from" $own) -}}
{{- $policy := default dict $own.policy -}}
{{- include "zentra-sidecar.oneWay" (dict "into" $values.policy "from" $policy) -}}
{{- include "zentra-sidecar.oneWay" (dict "into" $values.policy.candidate "from" (default dict $policy.candidate)) -}}
{{- end -}}
{{- $_ := set .into "root" .root -}}
{{- $_ := set .into "values" $values -}}
{{- $_ := set .into "profile" .profile -}}
{{- $_ := set .into "component" .component -}}
{{- end -}}

{{/* A piece of the hash of what a profile's pods are given: it tells pods of today from those that were
     made before a change. Takes what programContainer takes. */}}
{{- define "zentra-sidecar.injectedAs" -}}
{{- $given := list (include "zentra-sidecar.programContainer" . | fromYaml) (include "zentra-sidecar.programVolumes" . | fromYamlArray) -}}
{{- toJson $given | sha256sum | trunc 8 -}}
{{- end -}}

{{/* The names of the profiles, as a JSON array; one that is empty where profiles are not used. */}}
{{- define "zentra-sidecar.profiles" -}}
{{- if eq .Values.mode "inject" -}}
{{- keys .Values.inject.profiles | sortAlpha | toJson -}}
{{- else -}}
[""]
{{- end -}}
{{- end -}}

{{/* True where no container of the pod is the sidecar. */}}
{{- define "zentra-sidecar.celNotThere" -}}
!(has(object.spec.initContainers) && object.spec.initContainers.exists(c, c.name == "zentra-sidecar"))
&& !object.spec.containers.exists(c, c.name == "zentra-sidecar")
{{- end -}}

{{/* True where the sidecar is there as what it has to be: a native sidecar. */}}
{{- define "zentra-sidecar.celNative" -}}
(has(object.spec.initContainers) && object.spec.initContainers.exists(c, c.name == "zentra-sidecar" && has(c.restartPolicy) && c.restartPolicy == "Always"))
{{- end -}}

{{/* The names of all volumes that injection may add, as a JSON array. */}}
{{- define "zentra-sidecar.volumeNames" -}}
{{- list "zentra-sidecar-secrets" "zentra-sidecar-policy" "zentra-sidecar-policy-candidate" "zentra-sidecar-no-token" | toJson -}}
{{- end -}}

{{/* True where no volume of the pod has one of them. */}}
{{- define "zentra-sidecar.celNamesFree" -}}
(!has(object.spec.volumes) || object.spec.volumes.all(v, !(v.name in {{ include "zentra-sidecar.volumeNames" . }})))
{{- end -}}

{{/* What the label of a pod says, or an empty text. Takes object or oldObject. */}}
{{- define "zentra-sidecar.celLabel" -}}
(has({{ . }}.metadata.labels) && "zentra.io/inject" in {{ . }}.metadata.labels ? {{ . }}.metadata.labels["zentra.io/inject"] : "")
{{- end -}}

{{/* Which version of MutatingAdmissionPolicy the cluster serves; ends the rendering where none. */}}
{{- define "zentra-sidecar.mutatingVersion" -}}
{{- $group := "admissionregistration.k8s.io" -}}
{{- $beta := .Capabilities.APIVersions.Has (printf "%s/v1beta1/MutatingAdmissionPolicy" $group) -}}
{{- if .Capabilities.APIVersions.Has (printf "%s/v1/MutatingAdmissionPolicy" $group) -}}
{{- printf "%s/v1" $group -}}
{{- else if and $beta .Values.inject.allowBeta -}}
{{- printf "%s/v1beta1" $group -}}
{{- else if $beta -}}
{{- fail (printf "this cluster serves MutatingAdmissionPolicy as v1beta1 only (Kubernetes %s): set inject.allowBeta=true to take it, or use mode include" .Capabilities.KubeVersion.Version) -}}
{{- else -}}
{{- fail (printf "this cluster serves no MutatingAdmissionPolicy (Kubernetes %s): it needs 1.36 or newer, or 1.34 with the feature gate MutatingAdmissionPolicy and the v1beta1 API switched on and inject.allowBeta=true; else use mode include. Without a cluster, tell helm template what is served: --api-versions admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}

{{/* A guard: a ValidatingAdmissionPolicy over labelled pods and its binding. Takes root, name,
     operation (CREATE or UPDATE), action (Deny or Warn), operator (In or NotIn the namespaces) and
     validations. */}}
{{- define "zentra-sidecar.guard" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "zentra-sidecar.labelsOf" . | nindent 4 }}
spec:
  failurePolicy: {{ ternary "Fail" "Ignore" (eq .action "Deny") }}
  matchConstraints:
    objectSelector:
      matchExpressions:
        - key: zentra.io/inject
          operator: Exists
    resourceRules:
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [{{ .operation }}]
        resources: [pods]
  validations:
    {{- toYaml .validations | nindent 4 }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "zentra-sidecar.labelsOf" . | nindent 4 }}
spec:
  policyName: {{ .name | quote }}
  validationActions: [{{ .action }}]
  matchResources:
    namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: {{ .operator }}
          values:
            {{- toYaml .root.Values.inject.namespaces | nindent 12 }}
{{- end -}}
