{{/* A piece of a pod as a literal of the Common Expression Language, for the admission policy.
     Takes path (the type's name, such as Object.spec.volumes) and value. */}}
{{- define "zentra-sidecar.cel" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- /* Fields that hold names of one's own are maps, all others are types. */ -}}
{{- $isMap := has (splitList "." $path | last) (list "limits" "requests" "annotations" "labels") -}}
{{- $fields := list -}}
{{- range $name, $item := .value -}}
{{- /* All values of a map have one type: 0.5 CPU is a text, as 500m is. */ -}}
{{- $value := $item -}}
{{- if $isMap -}}
{{- $value = toString $item -}}
{{- if kindIs "float64" $item -}}
{{- $value = ternary (int64 $item | toString) (toString $item) (eq $item (floor $item)) -}}
{{- end -}}
{{- end -}}
{{- $literal := include "zentra-sidecar.cel" (dict "path" (printf "%s.%s" $path $name) "value" $value) -}}
{{- $fields = append $fields (printf "%s: %s" (ternary (toJson $name) $name $isMap) $literal) -}}
{{- end -}}
{{- ternary "" $path $isMap }}{ {{- join ", " $fields -}} }
{{- else if kindIs "slice" .value -}}
{{- $items := list -}}
{{- range .value -}}
{{- $items = append $items (include "zentra-sidecar.cel" (dict "path" $path "value" .)) -}}
{{- end -}}
[{{ join ", " $items }}]
{{- else if kindIs "float64" .value -}}
{{ int64 .value }}
{{- else -}}
{{ toJson .value }}
{{- end -}}
{{- end -}}
