{{/* The container of the program and what it needs of its pod. All take root, values, component
     (sidecar, gateway or reconciler) and the profile's name, if any. */}}

{{- define "zentra-sidecar.image" -}}
{{- $image := .values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "zentra-sidecar.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "zentra-sidecar.podSecurityContext" -}}
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "zentra-sidecar.programContainer" -}}
{{- $ports := index .values .component -}}
name: zentra-sidecar
image: {{ include "zentra-sidecar.image" . | quote }}
imagePullPolicy: {{ .values.image.pullPolicy | quote }}
args:
  - {{ ternary "reconcile" "serve" (eq .component "reconciler") }}
env:
  {{- include "zentra-sidecar.env" . | trim | nindent 2 }}
{{- if eq .component "sidecar" }}
restartPolicy: Always
{{- end }}
ports:
  {{- if eq .component "gateway" }}
  - name: zentra-grpc
    containerPort: {{ $ports.port }}
    protocol: TCP
  {{- end }}
  - name: zentra-admin
    containerPort: {{ $ports.adminPort }}
    protocol: TCP
{{- include "zentra-sidecar.probes" . }}
{{- if eq .component "gateway" }}
{{- with (int $ports.preStopSleepSeconds) }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- end }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
securityContext:
  {{- include "zentra-sidecar.containerSecurityContext" . | nindent 2 }}
volumeMounts:
  - name: zentra-sidecar-secrets
    mountPath: /etc/zentra-sidecar/secrets
    readOnly: true
  {{- if and (ne .component "reconciler") (include "zentra-sidecar.policyConfigMap" .) }}
  - name: zentra-sidecar-policy
    mountPath: /etc/zentra-sidecar/policy
    readOnly: true
  {{- end }}
  {{- if and (ne .component "reconciler") (include "zentra-sidecar.candidateConfigMap" .) }}
  - name: zentra-sidecar-policy-candidate
    mountPath: /etc/zentra-sidecar/policy-candidate
    readOnly: true
  {{- end }}
  {{- if eq .component "gateway" }}
  - name: zentra-sidecar-tls
    mountPath: /etc/zentra-sidecar/tls
    readOnly: true
  {{- end }}
  {{- if eq .component "sidecar" }}
  # Where Kubernetes would mount the pod's token: the sidecar needs none.
  - name: zentra-sidecar-no-token
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
{{- end -}}

{{/* Startup and liveness ask only whether the process runs. A sidecar has no readiness probe: it
     would count for the whole pod, and a blip of the store would take the service away. */}}
{{- define "zentra-sidecar.probes" }}
startupProbe:
  httpGet:
    path: /livez
    port: zentra-admin
  periodSeconds: 1
  timeoutSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /livez
    port: zentra-admin
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
{{- if eq .component "gateway" }}
readinessProbe:
  httpGet:
    path: /readyz
    port: zentra-admin
  periodSeconds: 2
  timeoutSeconds: 1
  failureThreshold: 2
{{- end }}
{{- end -}}

{{- define "zentra-sidecar.programVolumes" -}}
{{- $values := .values -}}
- name: zentra-sidecar-secrets
  projected:
    defaultMode: 292 # r--r--r--: only the sidecar's container mounts it
    sources:
      - secret:
          name: {{ $values.zentra.keySecret.name | quote }}
          items:
            - key: {{ $values.zentra.keySecret.key | quote }}
              path: zentra-key
      - secret:
          name: {{ $values.fingerprint.secret.name | quote }}
          items:
            - key: {{ $values.fingerprint.secret.key | quote }}
              path: fingerprint-keys
      {{- if $values.store.passwordSecret.name }}
      - secret:
          name: {{ $values.store.passwordSecret.name | quote }}
          items:
            - key: {{ $values.store.passwordSecret.key | quote }}
              path: store-password
      {{- end }}
      {{- if $values.openTelemetryHeadersSecret.name }}
      - secret:
          name: {{ $values.openTelemetryHeadersSecret.name | quote }}
          items:
            - key: {{ $values.openTelemetryHeadersSecret.key | quote }}
              path: otlp-headers
      {{- end }}
      {{- if $values.store.caConfigMap.name }}
      - configMap:
          name: {{ $values.store.caConfigMap.name | quote }}
          items:
            - key: {{ $values.store.caConfigMap.key | quote }}
              path: store-ca.crt
      {{- end }}
      {{- if $values.zentra.caConfigMap.name }}
      - configMap:
          name: {{ $values.zentra.caConfigMap.name | quote }}
          items:
            - key: {{ $values.zentra.caConfigMap.key | quote }}
              path: zentra-ca.crt
      {{- end }}
{{- if ne .component "reconciler" }}
{{- with include "zentra-sidecar.policyConfigMap" . }}
- name: zentra-sidecar-policy
  configMap:
    name: {{ . | quote }}
    defaultMode: 292
{{- end }}
{{- with include "zentra-sidecar.candidateConfigMap" . }}
- name: zentra-sidecar-policy-candidate
  configMap:
    name: {{ . | quote }}
    defaultMode: 292
{{- end }}
{{- end }}
{{- if eq .component "gateway" }}
{{- $tls := $values.gateway.tls }}
- name: zentra-sidecar-tls
  projected:
    defaultMode: 292
    sources:
      - secret:
          name: {{ $tls.secretName | quote }}
          items:
            - key: {{ $tls.certificateKey | quote }}
              path: tls.crt
            - key: {{ $tls.privateKeyKey | quote }}
              path: tls.key
      - secret:
          name: {{ default $tls.secretName $tls.clientCA.secretName | quote }}
          items:
            - key: {{ $tls.clientCA.key | quote }}
              path: client-ca.crt
{{- end }}
{{- if eq .component "sidecar" }}
- name: zentra-sidecar-no-token
  emptyDir:
    sizeLimit: 1Mi
{{- end }}
{{- end -}}

{{/* The pod of one of the chart's own Deployments. */}}
{{- define "zentra-sidecar.podSpec" -}}
{{- $own := index .values .component -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $own.serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "zentra-sidecar.podSecurityContext" . | nindent 2 }}
terminationGracePeriodSeconds: {{ include "zentra-sidecar.gracePeriodSeconds" . }}
containers:
  - {{- include "zentra-sidecar.programContainer" . | nindent 4 }}
volumes:
  {{- include "zentra-sidecar.programVolumes" . | nindent 2 }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The sleep before the drain, the drain, and five seconds for the rest. */}}
{{- define "zentra-sidecar.gracePeriodSeconds" -}}
{{- $sleep := ternary .values.gateway.preStopSleepSeconds 0 (eq .component "gateway") -}}
{{- $drain := 25 -}}
{{- if hasKey .values.settings "drainSeconds" -}}{{- $drain = .values.settings.drainSeconds -}}{{- end -}}
{{- add $sleep $drain 5 -}}
{{- end -}}
