{{- define "entrepot.container" -}}
image: {{ include "entrepot.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [entrepot]
args: [serve]
env:
  - name: ENTREPOT_CONFIG
    value: /etc/entrepot/entrepot.toml
  - name: ENTREPOT_SERVER__LISTEN
    value: {{ printf "%s:5000" .Values.address | quote }}
  - name: ENTREPOT_SERVER__CONSOLE
    value: {{ printf "%s:5001" .Values.address | quote }}
  # A folder inside of the volume: a file system has a lost+found, and its first folder is open to the
  # group of the pod.
  - name: ENTREPOT_STORAGE__PATH
    value: /data/entrepot
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: registry
    containerPort: 5000
  - name: console
    containerPort: 5001
# The first start of a new version may migrate the catalog: up to ten minutes.
startupProbe:
  httpGet:
    path: /livez
    port: console
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 300
# The server replaces its own processes when they hang: this is for the case that it cannot.
livenessProbe:
  httpGet:
    path: /livez
    port: console
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: console
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: settings
    mountPath: /etc/entrepot
    readOnly: true
  - name: data
    mountPath: /data
  - name: tmp
    mountPath: /tmp
  {{- range $at, $name := .Values.secrets }}
  - name: secret-{{ $at }}
    mountPath: /run/secrets/{{ $name }}
    readOnly: true
  {{- end }}
{{- end }}
