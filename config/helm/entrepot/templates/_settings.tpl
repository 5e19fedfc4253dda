{{/*
The settings file, in TOML. Helm's own toToml writes whole numbers as 2.0, which the program refuses.
What is not a table comes first, as TOML wants it.
*/}}
{{- define "entrepot.settings" -}}
{{- include "entrepot.settings.refuse" . -}}
{{- range $key, $value := . }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ include "entrepot.toml" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := . }}
{{- if kindIs "map" $value }}

[{{ $key }}]
{{- range $name, $inner := $value }}
{{ $name | toRawJson }} = {{ include "entrepot.toml" $inner }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A value in one line. Strings of JSON are strings of TOML. */}}
{{- define "entrepot.toml" -}}
{{- if kindIs "map" . -}}
{ {{- range $at, $key := keys . | sortAlpha }}{{ if $at }}, {{ end }}{{ $key | toRawJson }} = {{ include "entrepot.toml" (get $ $key) }}{{ end -}} }
{{- else if kindIs "slice" . -}}
[{{ range $at, $each := . }}{{ if $at }}, {{ end }}{{ include "entrepot.toml" $each }}{{ end }}]
{{- else if kindIs "invalid" . -}}
{{ fail "settings: a value is empty; write one, or leave its name out" }}
{{- else -}}
{{ toRawJson . }}
{{- end -}}
{{- end }}

{{/* The variables of the container come before the file, so these settings would do nothing. */}}
{{- define "entrepot.settings.refuse" -}}
{{- with .server -}}
{{- if hasKey . "listen" }}{{ fail "settings.server.listen: the chart sets it; write service.port for the port of the Service" }}{{ end -}}
{{- if hasKey . "console" }}{{ fail "settings.server.console: the chart sets it, to port 5001" }}{{ end -}}
{{- end -}}
{{- with .storage -}}
{{- if hasKey . "path" }}{{ fail "settings.storage.path: the chart sets it; write persistence for another volume" }}{{ end -}}
{{- end -}}
{{- end }}
