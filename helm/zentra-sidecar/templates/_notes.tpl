{{/* What a pod needs that the chart does not make: a line for each Secret and ConfigMap, with the keys
     in it. Read from the pod's own volumes where it can be, so that none is forgotten. Takes root,
     values, component and the profile's name, if any; and indent. */}}
{{- define "zentra-sidecar.needs" -}}
{{- $found := dict -}}
{{- range include "zentra-sidecar.programVolumes" . | fromYamlArray -}}
{{- range (default dict .projected).sources -}}
{{- range $kind, $source := . -}}
{{- $name := printf "%s %s" (ternary "Secret" "ConfigMap" (eq $kind "secret")) $source.name -}}
{{- range $source.items -}}
{{- $_ := set $found $name (append (default list (get $found $name)) .key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne .component "reconciler" -}}
{{- range list .values.policy.existingConfigMap .values.policy.candidate.existingConfigMap | compact -}}
{{- $_ := set $found (printf "ConfigMap %s" .) (list "the policy's files") -}}
{{- end -}}
{{- end -}}
{{- range .values.image.pullSecrets -}}
{{- $_ := set $found (printf "Secret %s" .) (list ".dockerconfigjson") -}}
{{- end -}}
{{- range $name := keys $found | sortAlpha }}
{{ $.indent }}{{ $name }}: {{ get $found $name | uniq | join ", " }}
{{- end -}}
{{- end -}}
