{{/* Numbers in addresses, as far as values.schema.json does not look at them. Takes values and a prefix
     for the names of values. No message repeats an address. */}}
{{- define "zentra-sidecar.addressFaults" -}}
{{- $addresses := dict "zentra.url" .values.zentra.url "zentra.proxy" .values.zentra.proxy "store.url" .values.store.url -}}
{{- range $name, $address := .values.openTelemetry -}}
{{- if hasSuffix "_ENDPOINT" $name -}}{{- $_ := set $addresses (printf "openTelemetry.%s" $name) $address -}}{{- end -}}
{{- end -}}
{{- range $name, $address := $addresses }}
{{- range regexFindAll "\\[[^]]*\\]" $address -1 }}
{{- $inside := trimPrefix "[" . | trimSuffix "]" }}
{{- if not (include "zentra-sidecar.isIPv6" $inside) }}
{{ $.prefix }}{{ $name }} must give an IPv6 address in one of its forms, such as [2001:db8::1]
{{- else if and (eq $name "zentra.url") (include "zentra-sidecar.isLinkLocal" $inside) }}
{{ $.prefix }}zentra.url must not be a link-local or cloud metadata address
{{- end }}
{{- end }}
{{- $host := regexReplaceAll "^[^:]*://" $address "" | regexFind "^[^:/?,@]*" | lower | trimSuffix "." }}
{{- $isNumber := regexMatch "(^|\\.)(0x[0-9a-f]*|[0-9]+)$" $host }}
{{- /* A name in the store's address is resolved as it is; in the others it would be read as a number. */ -}}
{{- if and $isNumber (ne $name "store.url") (not (regexMatch "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.|$)){4}$" $host)) }}
{{ $.prefix }}{{ $name }} must give an IPv4 address as four decimal numbers
{{- else if and (eq $name "zentra.url") (or (and $isNumber (include "zentra-sidecar.isLinkLocal" $host)) (has $host (list "metadata" "metadata.goog" "metadata.google.internal" "instance-data"))) }}
{{ $.prefix }}zentra.url must not be a link-local or cloud metadata address
{{- end }}
{{- end }}
{{- end -}}

{{/* Not empty where the text is an IPv6 address. */}}
{{- define "zentra-sidecar.isIPv6" -}}
{{- $address := include "zentra-sidecar.groups" . -}}
{{- $groups := splitList ":" $address | compact -}}
{{- $halves := splitList "::" $address -}}
{{- $short := eq (len $halves) 2 -}}
{{- $good := regexMatch "^[0-9a-fA-F:]+$" $address -}}
{{- range $groups -}}{{- if gt (len .) 4 -}}{{- $good = false -}}{{- end -}}{{- end -}}
{{- if or (gt (len $halves) 2) (contains ":::" $address) (regexMatch "(^:[^:]|[^:]:$)" $address) -}}{{- $good = false -}}{{- end -}}
{{- if or (and $short (gt (len $groups) 7)) (and (not $short) (ne (len $groups) 8)) -}}{{- $good = false -}}{{- end -}}
{{- ternary "address" "" $good -}}
{{- end -}}

{{/* An IPv6 address whose last two groups may be written as an IPv4 address, with those as groups too. */}}
{{- define "zentra-sidecar.groups" -}}
{{- $tail := regexFind ":((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.|$)){4}$" . | trimPrefix ":" -}}
{{- if $tail -}}
{{- $bytes := list -}}
{{- range splitList "." $tail -}}{{- $bytes = append $bytes (int64 . | printf "%02x") -}}{{- end -}}
{{- printf "%s%s%s:%s%s" (trimSuffix $tail .) (index $bytes 0) (index $bytes 1) (index $bytes 2) (index $bytes 3) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The bits of an address, as a text. Takes an address of either family. */}}
{{- define "zentra-sidecar.bits" -}}
{{- if contains ":" . -}}
{{- $halves := include "zentra-sidecar.groups" . | splitList "::" -}}
{{- $head := first $halves | splitList ":" | compact -}}
{{- $tail := rest $halves | join "" | splitList ":" | compact -}}
{{- range $head -}}{{- printf "0x%s" . | int64 | printf "%016b" -}}{{- end -}}
{{- repeat (sub 8 (add (len $head) (len $tail)) | int) (repeat 16 "0") -}}
{{- range $tail -}}{{- printf "0x%s" . | int64 | printf "%016b" -}}{{- end -}}
{{- else -}}
{{- range splitList "." . -}}{{- int64 . | printf "%08b" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where an address is link-local, unspecified or a cloud's metadata service, also where an
     IPv6 address leads to such an IPv4 one: mapped, compatible, or through NAT64. Takes it without brackets. */}}
{{- define "zentra-sidecar.isLinkLocal" -}}
{{- $bits := include "zentra-sidecar.bits" . -}}
{{- $found := list (hasPrefix "1111111010" $bits) (eq $bits (include "zentra-sidecar.bits" "fd00:ec2::254")) -}}
{{- $head := trunc 96 $bits -}}
{{- $isIPv4 := not (contains ":" .) -}}
{{- range list "::" "::ffff:0:0" "64:ff9b::" -}}
{{- if eq $head (include "zentra-sidecar.bits" . | trunc 96) -}}{{- $isIPv4 = true -}}{{- end -}}
{{- end -}}
{{- if $isIPv4 -}}
{{- $last := trunc -32 $bits -}}
{{- $found = append $found (hasPrefix (include "zentra-sidecar.bits" "169.254") $last) -}}
{{- range list "0.0.0.0" "100.100.100.200" "192.0.0.192" -}}
{{- $found = append $found (eq $last (include "zentra-sidecar.bits" .)) -}}
{{- end -}}
{{- end -}}
{{- ternary "link-local" "" (has true $found) -}}
{{- end -}}
