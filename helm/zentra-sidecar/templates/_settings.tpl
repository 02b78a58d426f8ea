{{/* The program's settings as environment variables. Secrets come from files: neither an argument nor
     a variable holds one. Takes root, values, component (sidecar, gateway or reconciler) and the
     profile's name, if any. */}}

{{- define "zentra-sidecar.env" -}}
{{- $values := .values -}}
{{- $secrets := "/etc/zentra-sidecar/secrets" -}}
{{- $tls := "/etc/zentra-sidecar/tls" -}}
{{- if eq .component "sidecar" }}
{{- if not $values.sidecar.caller }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_SERVICE_ACCOUNT
  valueFrom:
    fieldRef:
      fieldPath: spec.serviceAccountName
{{- end }}
- name: SIDECAR_CALLER
  value: {{ default "$(POD_NAMESPACE)/$(POD_SERVICE_ACCOUNT)" $values.sidecar.caller | quote }}
- name: SIDECAR_LISTEN
  value: {{ printf "127.0.0.1:%d" (int $values.sidecar.port) | quote }}
- name: SIDECAR_ADMIN_LISTEN
  value: {{ printf "%s:%d" $values.sidecar.bindAddress (int $values.sidecar.adminPort) | quote }}
{{- else if eq .component "gateway" }}
- name: SIDECAR_LISTEN
  value: {{ printf "tls://%s:%d" $values.gateway.bindAddress (int $values.gateway.port) | quote }}
- name: SIDECAR_ADMIN_LISTEN
  value: {{ printf "%s:%d" $values.gateway.bindAddress (int $values.gateway.adminPort) | quote }}
- name: SIDECAR_TLS_CERT_FILE
  value: {{ printf "%s/tls.crt" $tls | quote }}
- name: SIDECAR_TLS_KEY_FILE
  value: {{ printf "%s/tls.key" $tls | quote }}
- name: SIDECAR_TLS_CLIENT_CA_FILE
  value: {{ printf "%s/client-ca.crt" $tls | quote }}
- name: SIDECAR_TLS_TRUST_DOMAIN
  value: {{ $values.gateway.tls.trustDomain | quote }}
- name: SIDECAR_TLS_ALLOWED_IDS
  value: {{ join "," $values.gateway.tls.allowedIds | quote }}
{{- else }}
- name: SIDECAR_ADMIN_LISTEN
  value: {{ printf "%s:%d" $values.reconciler.bindAddress (int $values.reconciler.adminPort) | quote }}
{{- end }}
- name: SIDECAR_ACCOUNT
  value: {{ $values.account | quote }}
{{- with $values.zentra.url }}
- name: ZENTRA_URL
  value: {{ . | quote }}
{{- end }}
- name: ZENTRA_SECRET_KEY_FILE
  value: {{ printf "%s/zentra-key" $secrets | quote }}
{{- if $values.zentra.caConfigMap.name }}
# In place of the image's roots; read again with each set of fresh connections.
- name: SSL_CERT_FILE
  value: {{ printf "%s/zentra-ca.crt" $secrets | quote }}
{{- end }}
{{- with $values.zentra.proxy }}
- name: SIDECAR_ZENTRA_PROXY
  value: {{ . | quote }}
{{- end }}
- name: SIDECAR_STORE
  value: {{ include "zentra-sidecar.storeUrl" . | quote }}
{{- if $values.store.passwordSecret.name }}
- name: SIDECAR_STORE_PASSWORD_FILE
  value: {{ printf "%s/store-password" $secrets | quote }}
{{- end }}
{{- if $values.store.caConfigMap.name }}
- name: SIDECAR_STORE_CA_FILE
  value: {{ printf "%s/store-ca.crt" $secrets | quote }}
{{- end }}
- name: SIDECAR_FINGERPRINT_KEY_FILE
  value: {{ printf "%s/fingerprint-keys" $secrets | quote }}
{{- if ne .component "reconciler" }}
- name: SIDECAR_CARD_DATA
  value: {{ $values.cardData | quote }}
- name: SIDECAR_LIMITS_AFTER_LOSS
  value: {{ $values.policy.limitsAfterLoss | quote }}
{{- if include "zentra-sidecar.policyConfigMap" . }}
- name: SIDECAR_POLICY
  value: /etc/zentra-sidecar/policy
- name: SIDECAR_POLICY_MODE
  value: {{ $values.policy.mode | quote }}
{{- end }}
{{- if include "zentra-sidecar.candidateConfigMap" . }}
- name: SIDECAR_POLICY_CANDIDATE
  value: /etc/zentra-sidecar/policy-candidate
{{- end }}
{{- end }}
{{- range $name, $value := $values.settings }}
- name: {{ printf "SIDECAR_%s" ($name | snakecase | upper) }}
  value: {{ int64 $value | quote }}
{{- end }}
- name: SIDECAR_LOG
  value: {{ $values.log | quote }}
- name: SIDECAR_AUDIT_LOG
  value: {{ $values.auditLog | quote }}
{{- range $name, $value := $values.openTelemetry }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if $values.openTelemetryHeadersSecret.name }}
- name: SIDECAR_OTLP_HEADERS_FILE
  value: {{ printf "%s/otlp-headers" $secrets | quote }}
{{- end }}
{{- end -}}

{{/* The store's address: the trial's Redis where no other is given. */}}
{{- define "zentra-sidecar.storeUrl" -}}
{{- if .values.store.url -}}
{{- .values.store.url -}}
{{- else if .values.trialRedis.enabled -}}
{{- printf "redis://%s-trial-redis.%s.svc:6379" (include "zentra-sidecar.fullname" .root) .root.Release.Namespace -}}
{{- end -}}
{{- end -}}
