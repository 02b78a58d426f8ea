{{/* Where the chart's own pods have to reach, from what is configured. All take values. */}}

{{/* The port of an address with http or https. Takes the address. */}}
{{- define "zentra-sidecar.portOf" -}}
{{- $parts := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $parts.host | trimPrefix ":" -}}
{{- default (ternary "443" "80" (eq $parts.scheme "https")) $port -}}
{{- end -}}

{{/* A block of one address, as YAML, where the host is an address; else nothing. Takes the URL. */}}
{{- define "zentra-sidecar.blockOf" -}}
{{- $host := (urlParse .).hostname -}}
{{- if regexMatch "^[0-9.]+$" $host -}}
- ipBlock: {cidr: {{ printf "%s/32" $host | quote }}}
{{- else if contains ":" $host -}}
- ipBlock: {cidr: {{ printf "%s/128" $host | quote }}}
{{- end -}}
{{- end -}}

{{/* The ports of the store's address, each once, as a JSON array; Redis' or Sentinel's usual one where
     none stands there. Takes the address. */}}
{{- define "zentra-sidecar.storePorts" -}}
{{- $usual := ternary 26379 6379 (contains "+sentinel://" .) -}}
{{- $hosts := regexReplaceAll "^[^:]+://([^@/]*@)?" . "" | regexFind "^[^/?]*" -}}
{{- $ports := list -}}
{{- range splitList "," $hosts -}}
{{- $port := regexFind ":[0-9]+$" (regexReplaceAll "^\\[[^]]*\\]" . "") | trimPrefix ":" -}}
{{- $ports = append $ports (int (default $usual $port)) -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}

{{/* The collectors' addresses that are not this pod's own, as a JSON array. */}}
{{- define "zentra-sidecar.collectors" -}}
{{- $found := list -}}
{{- if ne (get .openTelemetry "OTEL_SDK_DISABLED" | lower) "true" -}}
{{- range $name, $address := .openTelemetry -}}
{{- if and (hasSuffix "_ENDPOINT" $name) $address (not (regexMatch "^https?://(127\\.[0-9.]+|localhost|\\[::1\\])(:|/|$)" $address)) -}}
{{- $found = append $found $address -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $found | toJson -}}
{{- end -}}

{{/* The address of Zentra or, where there is one, of the proxy on the way to it. */}}
{{- define "zentra-sidecar.zentraHop" -}}
{{- .zentra.proxy | default .zentra.url | default "https://api.usezentra.com" -}}
{{- end -}}

{{/* What is configured and cannot be turned into a rule: names say nothing of addresses. Takes values
     and a prefix for the names of values. */}}
{{- define "zentra-sidecar.egressFaults" -}}
{{- $to := .values.networkPolicy -}}
{{- $hop := include "zentra-sidecar.zentraHop" .values -}}
{{- $known := or (include "zentra-sidecar.blockOf" $hop) (regexMatch "(^|\\.)usezentra\\.com$" (urlParse $hop).hostname) -}}
{{- if not (or $to.zentra.to $known) }}
{{ .prefix }}networkPolicy.zentra.to is required with this {{ ternary "zentra.proxy" "zentra.url" (ne .values.zentra.proxy "") }}: a policy knows addresses and pods, no names
{{- end }}
{{- range include "zentra-sidecar.collectors" .values | fromJsonArray }}
{{- if not (or $to.telemetry.to (include "zentra-sidecar.blockOf" .)) }}
{{ $.prefix }}networkPolicy.telemetry.to is required with openTelemetry: where the collector is
{{- end }}
{{- end }}
{{- if and (regexMatch "\\+(sentinel|cluster)://" .values.store.url) (not $to.store.ports) }}
{{ .prefix }}networkPolicy.store.ports is required with Sentinels or a Cluster: they name the servers, and only you know on which ports
{{- end }}
{{- end -}}

{{/* The rules of egress, as a list. Takes root and values. */}}
{{- define "zentra-sidecar.egress" -}}
{{- $to := .values.networkPolicy -}}
- ports:
    {{- range $to.dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with $to.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# The store.
{{- $ports := include "zentra-sidecar.storePorts" (include "zentra-sidecar.storeUrl" .) | fromJsonArray }}
- {{- include "zentra-sidecar.peersAndPorts" (dict "side" "to" "peers" $to.store.to "ports" (concat $ports $to.store.ports)) | nindent 2 }}
# Zentra, or the proxy on the way to it.
{{- $hop := include "zentra-sidecar.zentraHop" .values }}
{{- $peers := $to.zentra.to | default (include "zentra-sidecar.blockOf" $hop | fromYamlArray) | default (include "zentra-sidecar.anywhereOutside" . | fromYamlArray) }}
- {{- include "zentra-sidecar.peersAndPorts" (dict "side" "to" "peers" $peers "ports" (prepend $to.zentra.ports (include "zentra-sidecar.portOf" $hop))) | nindent 2 }}
{{- $collectors := include "zentra-sidecar.collectors" .values | fromJsonArray }}
{{- range $collectors }}
- {{- include "zentra-sidecar.peersAndPorts" (dict "side" "to" "peers" ($to.telemetry.to | default (include "zentra-sidecar.blockOf" . | fromYamlArray)) "ports" (prepend $to.telemetry.ports (include "zentra-sidecar.portOf" .))) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The internet of both families, without private, local and shared networks. */}}
{{- define "zentra-sidecar.anywhereOutside" -}}
- ipBlock:
    cidr: 0.0.0.0/0
    except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
- ipBlock:
    cidr: "::/0"
    except: ["fc00::/7", "fe80::/10"]
{{- end -}}

{{/* Peers (anywhere where there are none) and ports, each once. Takes side, peers and ports. */}}
{{- define "zentra-sidecar.peersAndPorts" -}}
{{- with .peers -}}
{{ $.side }}:
  {{- toYaml . | nindent 2 }}
{{ end -}}
ports:
  {{- $seen := list }}
  {{- range .ports }}
  {{- if not (has (int .) $seen) }}
  {{- $seen = append $seen (int .) }}
  - {port: {{ int . }}, protocol: TCP}
  {{- end }}
  {{- end }}
{{- end -}}
