{{- define "operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "operator.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of an object; those of the user never win over ours. list $ map... */}}
{{- define "operator.labelsWith" -}}
{{- $root := first . -}}
{{- $ours := include "operator.selectorLabels" $root | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- range reverse (rest .) }}{{ $ours = merge $ours . }}{{ end -}}
{{- toYaml (merge $ours $root.Values.commonLabels) -}}
{{- end -}}

{{- define "operator.labels" -}}
{{- include "operator.labelsWith" (list .) -}}
{{- end -}}

{{/* The annotations of an object as a field of its metadata, if there are any. list $ map... : the later one wins. */}}
{{- define "operator.annotations" -}}
{{- $root := first . -}}
{{- $all := dict -}}
{{- range reverse (rest .) }}{{ $all = merge $all . }}{{ end -}}
{{- with merge $all $root.Values.commonAnnotations -}}
{{- dict "annotations" . | toYaml | nindent 2 -}}
{{- end -}}
{{- end -}}

{{/* A name with a suffix that fits into a DNS label. list $ suffix */}}
{{- define "operator.suffixed" -}}
{{- $suffix := index . 1 -}}
{{- printf "%s-%s" (include "operator.fullname" (first .) | trunc (sub 62 (len $suffix) | int) | trimSuffix "-") $suffix -}}
{{- end -}}

{{/* image: dict "image" .Values.image "root" $ */}}
{{- define "operator.image" -}}
{{- $repository := .image.repository -}}
{{- /* As container engines have it: a first part with a dot or a port, or localhost, is a registry. */}}
{{- $first := splitList "/" $repository | first -}}
{{- if not (and (contains "/" $repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost"))) -}}
{{- with default .image.registry .root.Values.global.imageRegistry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The pull secrets as a field, if there are any. list $ indentation */}}
{{- define "operator.imagePullSecrets" -}}
{{- $values := (first .).Values -}}
{{- $secrets := list -}}
{{- range concat $values.global.imagePullSecrets $values.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $secrets | uniq -}}
{{- dict "imagePullSecrets" . | toYaml | nindent (index $ 1) -}}
{{- end -}}
{{- end -}}

{{/* The namespaces of mode "namespaces", as JSON. */}}
{{- define "operator.namespaces" -}}
{{- if .Values.scope.namespaces -}}
{{- .Values.scope.namespaces | uniq | sortAlpha | toJson -}}
{{- else -}}
{{- list (include "operator.namespace" .) | toJson -}}
{{- end -}}
{{- end -}}

{{/* The arguments that "run" and "check" share. */}}
{{- define "operator.scopeArguments" -}}
- --scope={{ .Values.scope.mode }}
{{- if eq .Values.scope.mode "namespaces" }}
- --namespaces={{ include "operator.namespaces" . | fromJsonArray | join "," }}
{{- else if .Values.scope.excludeNamespaces }}
- --exclude-namespaces={{ .Values.scope.excludeNamespaces | uniq | sortAlpha | join "," }}
{{- end }}
- --lease-name={{ include "operator.fullname" . }}
{{- end -}}

{{/* A security context without the fields that are null. */}}
{{- define "operator.withoutNull" -}}
{{- $set := dict -}}
{{- range $name, $value := . }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $set $name $value }}{{ end }}{{ end -}}
{{- toYaml $set -}}
{{- end -}}

{{/* What values mean together. */}}
{{- define "operator.check" -}}
{{- if and .Values.crds.install (not .Values.crds.keep) (not .Values.crds.confirmRemoval) -}}
{{- fail "crds.keep=false: helm uninstall would delete the OAuth2Proxy definition, and so every OAuth2Proxy, at the moment when the operator that takes off their finalizers goes too: objects and definition can then hang in Terminating, and workloads keep sidecars that nobody looks after. Keep the definition, or set crds.confirmRemoval=true and delete all OAuth2Proxy objects before you uninstall" -}}
{{- end -}}
{{- if and (eq .Values.scope.mode "namespaces") .Values.scope.excludeNamespaces -}}
{{- fail "scope.excludeNamespaces has no effect with scope.mode=namespaces: leave it out, and its names out of scope.namespaces" -}}
{{- end -}}
{{- if and (eq .Values.scope.mode "cluster") .Values.scope.namespaces -}}
{{- fail "scope.namespaces has no effect with scope.mode=cluster: leave it out, or set scope.mode=namespaces" -}}
{{- end -}}
{{- $lease := .Values.leaderElection -}}
{{- if lt (int $lease.leaseDurationSeconds) (add $lease.renewDeadlineSeconds 4 | int) -}}
{{- fail (printf "leaderElection.leaseDurationSeconds=%v has to be at least 4 more than leaderElection.renewDeadlineSeconds=%v, or two replicas could write at once" $lease.leaseDurationSeconds $lease.renewDeadlineSeconds) -}}
{{- end -}}
{{- if lt (int $lease.renewDeadlineSeconds) (mul $lease.retryPeriodSeconds 2 | int) -}}
{{- fail (printf "leaderElection.retryPeriodSeconds=%v has to be at most half of leaderElection.renewDeadlineSeconds=%v, or one failed attempt could end the operator" $lease.retryPeriodSeconds $lease.renewDeadlineSeconds) -}}
{{- end -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- if and (ne (toString $budget.minAvailable) "") (ne (toString $budget.maxUnavailable) "") -}}
{{- fail "podDisruptionBudget.minAvailable and .maxUnavailable can not both be set: leave one of them empty" -}}
{{- end -}}
{{- if and $budget.enabled (gt (int .Values.replicas) 1) (not (kindIs "string" $budget.minAvailable)) (ge (int $budget.minAvailable) (int .Values.replicas)) -}}
{{- fail (printf "podDisruptionBudget.minAvailable=%v with replicas=%v: no node with the operator could be drained" $budget.minAvailable .Values.replicas) -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled, or use metrics.podMonitor" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled would have everything counted twice: use one" -}}
{{- end -}}
{{- end -}}

{{/* How a monitor scrapes an endpoint. list values port */}}
{{- define "operator.endpoint" -}}
{{- $values := first . -}}
- port: {{ index . 1 }}
  path: /metrics
  interval: {{ $values.interval }}
  {{- with $values.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- if $values.honorLabels }}
  honorLabels: true
  {{- end }}
  {{- with $values.relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The metadata of what a monitoring stack reads. list $ values name */}}
{{- define "operator.monitoringMetadata" -}}
{{- $root := first . -}}
{{- $values := index . 1 -}}
metadata:
  name: {{ index . 2 }}
  namespace: {{ default (include "operator.namespace" $root) $values.namespace }}
  labels:
    {{- include "operator.labelsWith" (list $root $values.labels) | nindent 4 }}
  {{- include "operator.annotations" (list $root $values.annotations) }}
{{- end -}}
