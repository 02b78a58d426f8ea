{{/* Numbers in addresses, as far as values.schema.json does not look at them. Takes values and a prefix
     for the names of values. No message repeats an address. */}}
{{- define "zentra-sidecar.addressFaults" -}}
{{- $addresses := dict "zentra.url" .values.zentra.url "zentra.proxy" .values.zentra.proxy "store.url" .values.store.url -}}
{{- range $name, $address := .values.openTelemetry -}}
{{- if hasSuffix "_ENDPOINT" $name -}}{{- $_ := set $addresses (printf "openTelemetry.%s" $name) $address -}}{{- end -}}
{{- end -}}
{{- range $name, $address := $addresses }}
{{- range regexFindAll "\\[[^]]*\\]" $address -1 }}
{{- if not (include "zentra-sidecar.isIPv6" .) }}
{{ $.prefix }}{{ $name }} must give an IPv6 address in one of its forms, such as [2001:db8::1]
{{- end }}
{{- end }}
{{- $host := regexReplaceAll "^[^:]*://" $address "" | regexFind "^[^:/?,@]*" | lower | trimSuffix "." }}
{{- $isNumber := regexMatch "(^|\\.)(0x[0-9a-f]*|[0-9]+)$" $host }}
{{- /* A name in the store's address is resolved as it is; in the others it would be read as a number. */ -}}
{{- if and $isNumber (ne $name "store.url") (not (regexMatch "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.|$)){4}$" $host)) }}
{{ $.prefix }}{{ $name }} must give an IPv4 address as four decimal numbers
{{- end }}
{{- end }}
{{- end -}}

{{/* Not empty where the text is an IPv6 address in brackets. */}}
{{- define "zentra-sidecar.isIPv6" -}}
{{- $address := trimPrefix "[" . | trimSuffix "]" -}}
{{- /* The last two groups may be written as an IPv4 address. */ -}}
{{- $address = regexReplaceAll ":((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.|$)){4}$" $address ":0:0" -}}
{{- $groups := splitList ":" $address | compact -}}
{{- $halves := splitList "::" $address -}}
{{- $short := eq (len $halves) 2 -}}
{{- $good := regexMatch "^[0-9a-fA-F:]+$" $address -}}
{{- range $groups -}}{{- if gt (len .) 4 -}}{{- $good = false -}}{{- end -}}{{- end -}}
{{- if or (gt (len $halves) 2) (contains ":::" $address) (regexMatch "(^:[^:]|[^:]:$)" $address) -}}{{- $good = false -}}{{- end -}}
{{- if or (and $short (gt (len $groups) 7)) (and (not $short) (ne (len $groups) 8)) -}}{{- $good = false -}}{{- end -}}
{{- ternary "address" "" $good -}}
{{- end -}}
