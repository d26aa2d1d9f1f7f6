"""The files of a container build context that are always the same."""

from __future__ import annotations

from typing import Final

DOCKERFILE: Final = """\
FROM python:@python@-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/app/program OMP_NUM_THREADS=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --no-deps -r requirements.txt \\
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin server
COPY program program
COPY --chown=10001:10001 workspace workspace
COPY spec.json start.py ./
USER 10001
EXPOSE @port@
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \\
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:@port@/v2/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["python", "start.py"]
"""

DOCKERIGNORE: Final = """\
kubernetes.yaml
Dockerfile
**/__pycache__
"""

START: Final = '''\
"""Serve the model of this folder. The token that callers must send is read from TOKEN_FILE (/run/secrets/token); PORT
and WORKERS change what spec.json says."""

import json
import os
import pathlib
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
secret = pathlib.Path(os.environ.get("TOKEN_FILE", "/run/secrets/token"))
spec = json.loads((here / "spec.json").read_text())
spec["place"] = f"local:{here / 'workspace'}"
spec["port"] = int(os.environ.get("PORT", spec["port"]))
spec["workers"] = int(os.environ.get("WORKERS", spec["workers"]))
if not secret.is_file():
    sys.exit(f"no token: mount a file with one at {secret}, or say in TOKEN_FILE where it is")
private = pathlib.Path(tempfile.mkdtemp())
# A mounted secret may be readable by a group; the server takes only a file that is its own.
token = private / "token"
token.touch(mode=0o600)
token.write_text(secret.read_text())
spec["token_file"] = str(token)
(private / "spec.json").write_text(json.dumps(spec))
os.environ["PYTHONPATH"] = str(here / "program")
os.environ.setdefault("MLOPS_CONSOLE_RELEASE", "@release@")
os.execv(sys.executable, [sys.executable, "-m", "console.serving", str(private / "spec.json")])
'''

MANIFEST: Final = """\
# kubectl create secret generic @name@-token --from-file=token=/path/of/token
# kubectl apply -f kubernetes.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: @name@
  labels: {app: @name@, version: @version@}
spec:
  replicas: 2
  selector:
    matchLabels: {app: @name@}
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels: {app: @name@, version: @version@}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "@port@"
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 45
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        fsGroup: 10001
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: server
          image: @image@
          ports:
            - {name: http, containerPort: @port@}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          readinessProbe:
            httpGet: {path: /v2/health/ready, port: http}
            periodSeconds: 5
          livenessProbe:
            httpGet: {path: /v2/health/live, port: http}
            initialDelaySeconds: 60
            periodSeconds: 10
          resources:
            requests: {cpu: 250m, memory: 384Mi}
            limits: {memory: 1Gi}
          volumeMounts:
            - {name: token, mountPath: /run/secrets/token, subPath: token, readOnly: true}
            - {name: scratch, mountPath: /tmp}
      volumes:
        - name: token
          secret: {secretName: @name@-token, defaultMode: 288}
        - name: scratch
          emptyDir: {}
---
apiVersion: v1
kind: Service
metadata:
  name: @name@
spec:
  selector: {app: @name@}
  ports:
    - {name: http, port: 80, targetPort: http}
"""
