"""Redaction: every written form of a secret is hidden, and nothing else of a text changes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import ftkit
from ftkit.redaction import MASK, redacted

S = "S3cr3tValue42x"  # the secret of most rows; no part of it occurs in what surrounds it
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
STORAGE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA75x\nq1w2e3r4t5y6\n-----END RSA PRIVATE KEY-----"

# (text, the secret that must be gone, what must stay)
NAMED = [
    (f"GET /b?sv=2021&sig={S}%3D&se=2026 failed", S, ["sv=2021&sig=", "&se=2026 failed"]),
    (f"GET /api/f?code={S}== failed", S, ["?code=", " failed"]),
    (f"/callback?state=1&code={S}&session=2", S, ["?state=1&code=", "&session=2"]),
    (f"AccountName=a;AccountKey={S}==;EndpointSuffix=core.windows.net", S, ["AccountName=a;", ";EndpointSuffix="]),
    (f"AccountKey = {S}==; EndpointSuffix = x", S, ["AccountKey = ", "; EndpointSuffix = x"]),
    (f"SharedAccessKeyName=Root;SharedAccessKey={S};EntityPath=e", S, ["SharedAccessKeyName=Root;", ";EntityPath=e"]),
    (f"SharedAccessSignature=sr%3Dx%26sig%3D{S}%26se%3D1", S, ["SharedAccessSignature="]),
    (f"SharedAccessSignature sr=x&sig={S}&se=1&skn=k", S, ["sr=x&sig=", "&se=1&skn=k"]),
    (f"sas_token=?sv=1&sig={S}&se=2", S, []),
    (f"sas_token: sv=1&sig={S}&se=2", S, []),
    (
        f"InstrumentationKey={S};IngestionEndpoint=https://e/",
        S,
        ["InstrumentationKey=", ";IngestionEndpoint=https://e/"],
    ),
    (f"https://maps.example/geocode?address=x&key={S}", S, ["?address=x&key="]),
    (f"Endpoint=https://e/;Key={S}{S}==", S, ["Endpoint=https://e/;Key="]),
    (f"signature={S}{S} of the request", S, ["signature=", " of the request"]),
    (f"bearer: {S}{S}", S, ["bearer: "]),
    (f"credentials={S}{S}", S, ["credentials="]),
    (f"pw={S} and", S, [" and"]),
    (f"client_secret={S}&grant_type=client_credentials", S, ["client_secret=", "&grant_type=client_credentials"]),
    (f"clientSecret: {S}", S, ["clientSecret: "]),
    (f"CLIENT-SECRET : {S}, tenant: t", S, ["CLIENT-SECRET : ", ", tenant: t"]),
    (f"Server=s;User ID=bob;Password={S};Encrypt=yes", S, ["User ID=bob;Password=", ";Encrypt=yes"]),
    (f"Server=s;Pwd={S} with space;Encrypt=yes", "with space", ["Server=s;Pwd=", ";Encrypt=yes"]),
    (f"Password={S} with space;Encrypt=yes", "with space", [";Encrypt=yes"]),
    (f'Password="{S} b;c";Encrypt=yes', "b;c", [";Encrypt=yes"]),
    (f"passwd={S}", S, ["passwd="]),
    (f"DRIVER={{x}};UID=bob;PWD={{{S};a}};Database=d", S, ["DRIVER={x};UID=bob;PWD={", "};Database=d"]),
    (f"api_key=[{S}] and", S, ["] and"]),
    ("password=$ECR3T and", "ECR3T", [" and"]),
    (f"password=${{USER}}{S} and", S, [" and"]),
    (f"password=$(cat){S} and", S, [" and"]),
    (f"token=TOKEN{S} and", S, [" and"]),
    (f"Authorization: Bearer …{S} and", S, [" and"]),
    (f"host=h password='{S} \\' x' dbname=d", S, ["host=h password=", " dbname=d"]),
    (f"api_key = {S}", S, ["api_key = "]),
    (f"api-key: {S}", S, []),
    (f"apikey={S}", S, []),
    (f"x-api-key: {S}\r\nHost: h", S, ["x-api-key: ", "\r\nHost: h"]),
    (f"Ocp-Apim-Subscription-Key: {S}", S, []),
    (f"?subscription-key={S}&x=1", S, ["&x=1"]),
    (f"API key: {S}", S, ["API key: "]),
    (f"Account key: {S}", S, ["Account key: "]),
    (f'{{"access_token": "{S}", "expires_in": 3599}}', S, ['"expires_in": 3599']),
    (f"refresh_token={S}&scope=x", S, ["&scope=x"]),
    (f"'id_token': '{S}', 'x': 1", S, ["'x': 1"]),
    (f"secret={S}", S, []),
    (f"token: {S}.", S, ["token: ", "."]),
    (f"private_key={S}", S, []),
    (f"connection_string=Endpoint=sb://h/;SharedAccessKey={S}", S, ["connection_string="]),
    (f'"ConnectionString": "Server=s;Password={S}"', S, []),
    (f"AZURE_CLIENT_SECRET={S}", S, ["AZURE_CLIENT_SECRET="]),
    (f"export FTKIT_RECORD_KEY={S}", S, []),
    (f"AWS_SECRET_ACCESS_KEY={S} AWS_REGION=eu", S, [" AWS_REGION=eu"]),
    (
        f"GH_TOKEN={S} DB_PASSWORD={S} X_SECRET={S} GITHUB_PAT={S} DB_PASS={S} BLOB_SAS={S}",
        S,
        ["GITHUB_PAT=", "DB_PASS="],
    ),
    (f"dbPassword={S}, user=bob", S, [", user=bob"]),
    (f"spring.datasource.password={S}", S, ["spring.datasource.password="]),
    (f"user[password]={S}&x=1", S, ["&x=1"]),
    (f"os.environ['HF_TOKEN'] = '{S}'", S, ["os.environ['HF_TOKEN'] = "]),
    (f"setenv('HF_TOKEN', '{S}')", S, []),
    (f'$env:HF_TOKEN = "{S}"', S, []),
    (f"Config(user='bob', password='{S}', x=1)", S, ["user='bob'", ", x=1)"]),
    (f"password: str = '{S}'", S, ["password: str = "]),
    (f"password := '{S}'", S, []),
    (f"password=>'{S}'", S, []),
    (f"if password == '{S}':", S, ["if password == "]),
    (f"password={S})", S, [")"]),
    (f"(token={S}, x=1)", S, ["(token=", ", x=1)"]),
    (f"password：{S}", S, []),
    (f"password=“{S} and more”.", "and more", ["."]),
    ("password=it's\"quoted x=1", "quoted", [" x=1"]),
    ("password='it's quoted', x=1", "quoted", [", x=1"]),
    ("password='it''s quoted', x=1", "quoted", [", x=1"]),
    ("password=a,b&c<d;e rest", "c<d;e", [" rest"]),
    (r"password=a\nb rest", r"\nb", [" rest"]),
    ("password=b'by tes', x=1", "by tes", [", x=1"]),
    ('password = """two\nlines"""\nx = 1', "lines", ["\nx = 1"]),
    ("password=cut 'short", "cut", []),
    ('password="cut short\nnext "line" stays', "cut short", ['\nnext "line" stays']),
    (f"\x1b[33mpassword\x1b[0m=\x1b[32m{S}\x1b[0m next", S, ["\x1b[0m next"]),
    (f"\x1b[31msig={S}\x1b[0m next", S, ["\x1b[0m next"]),
    (f"žsig={S} 秘token={S}", S, ["žsig=", "秘token="]),
    (f"{{'password': ['{S}', '{S}2'], 'x': 1}}", S, ["'x': 1"]),
    (f'"primaryKey": "{S}{S}"', S, []),
    (f'"adminPassword": {{"value": "{S}"}}, "sku": {{"value": "F2"}}', S, ['"sku": {"value": "F2"}']),
    (f'{{"name": "HF_TOKEN", "slotSetting": false, "value": "{S}"}}', S, ['"slotSetting": false']),
    (f"- name: HF_TOKEN\n  value: {S}\n- name: X\n  value: plain", S, ["value: plain"]),
    (f'<add key="AccountKey" value="{S}" />', S, [" />"]),
    (f"<soap:password type='x'>{S}</soap:password>", S, ["</soap:password>"]),
    (f"<Secret><![CDATA[{S}]]></Secret>", S, ["</Secret>"]),
    (f'"auth": "{base64.b64encode(b"bob:hunter2").decode()}"', base64.b64encode(b"bob:hunter2").decode(), ['"auth": ']),
    (f"//registry.npmjs.org/:_authToken={S}", S, ["//registry.npmjs.org/:_authToken="]),
    (f"requests.get(u, auth=('bob', '{S}'))", S, ["auth=('bob', '"]),
    (f"machine h login bob password {S}", S, ["login bob"]),
    (f"curl -u bob:{S} https://h/", S, ["-u bob:", " https://h/"]),
    (f"CREATE USER bob WITH PASSWORD '{S}';", S, ["CREATE USER bob WITH PASSWORD '"]),
    (f"jdbc:oracle:thin:scott/{S}@//h:1521/x", S, ["thin:scott/", "@//h:1521/x"]),
    (f"jdbc:sqlserver://h;user=bob;password={S};encrypt=true", S, ["user=bob;", ";encrypt=true"]),
    (f"ftkit run --password {S} --seed 3", S, ["--password ", " --seed 3"]),
    (f"ftkit run --password={S} --seed 3", S, [" --seed 3"]),
    (f"--client-secret {S}", S, []),
    (f"--client-secret '{S} x' --seed 3", S, [" --seed 3"]),
    (f"--token \\\n  {S} \\\n  --seed 3", S, ["--seed 3"]),
    (f"['run', '--api-key', '{S}', '--seed', '3']", S, ["'--seed', '3'"]),
    (f"New-Thing -ClientSecret {S} -Name x", S, [" -Name x"]),
]
HEADERS = [
    (f"Authorization: Bearer {S} was refused", S, ["Authorization: Bearer ", " was refused"]),
    ("Authorization: Bearer plainword", "plainword", []),
    (f"authorization: Basic {S}", S, ["authorization: Basic "]),
    (f"Authorization: SharedKey account:{S}=", S, ["Authorization: SharedKey "]),
    (f"Authorization: token {S}", S, []),
    (f"Authorization: {S}\r\nHost: h", S, ["\r\nHost: h"]),
    (f"Authorization: Custom {S} {S}\nHost: h", S, ["\nHost: h"]),
    (f'Authorization: Digest username="bob", response="{S}"\nHost: h', S, ["\nHost: h"]),
    (f"Authorization: AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=host, Signature={S}", S, []),
    (f"Authorization=Bearer%20{S}&x=1", S, ["&x=1"]),
    (f"Proxy-Authorization: Basic {S}", S, []),
    (f'"Authorization": "Bearer {S}", "x": 1', S, ['"Authorization": "Bearer ', '", "x": 1']),
    (f"{{'Authorization': 'Bearer {S}', 'x': 1}}", S, ["'x': 1"]),
    (f"{{b'Authorization': b'Bearer {S}', b'x': 1}}", S, ["b'x': 1"]),
    (f"{{'Authorization': ['Bearer {S}'], 'x': 1}}", S, ["'x': 1"]),
    (f"[('authorization', 'Bearer {S}'), ('x', '1')]", S, ["('x', '1')"]),
    (f"[(b'authorization', b'Bearer {S}'), (b'x', b'1')]", S, ["(b'x', b'1')"]),
    (f"[['authorization', 'Bearer {S}'], ['x', '1']]", S, ["['x', '1']"]),
    (f"send: b'GET / HTTP/1.1\\r\\nAuthorization: Bearer {S}\\r\\nHost: h\\r\\n\\r\\n'", S, ["\\r\\nHost: h\\r\\n"]),
    (f'curl -H "Authorization: Bearer {S}" https://h/', S, ['" https://h/']),
    (f"Authorization: Bearer\n  {S}\nHost: h", S, ["\nHost: h"]),
    (f"Authorization:\n  Bearer {S}\nHost: h", S, ["\nHost: h"]),
    (f"Authorization: Bearer {S}\r\n more{S}\r\nHost: h", S, ["\r\nHost: h"]),
    (f"HTTP_AUTHORIZATION='Bearer {S}'", S, []),
    (f"x-functions-key: {S}", S, []),
    (f"aeg-sas-key: {S}", S, []),
    (f"X-Amz-Security-Token: {S}", S, []),
    (f"X-Amz-Signature={S}&x=1", S, ["&x=1"]),
    (f"X-Vault-Token: {S}", S, []),
    (f"Set-Cookie: session={S}; Path=/; HttpOnly\nHost: h", S, ["Set-Cookie: ", "\nHost: h"]),
    (f"Cookie: a={S}; b={S}\nHost: h", S, ["\nHost: h"]),
    (f"{{'Set-Cookie': 'a={S}; Path=/', 'x': 1}}", S, ["'x': 1"]),
    (f"the call sent Bearer {S} and failed", S, ["the call sent Bearer ", " and failed"]),
    (f"the call sent Bearer\n{JWT}\nand failed", JWT, ["\nand failed"]),
    (
        f"the call sent Basic {base64.b64encode(b'bob:hunter2').decode()}.",
        base64.b64encode(b"bob:hunter2").decode(),
        ["."],
    ),
    (f"SharedKey acct:{S}=", S, ["SharedKey acct:"]),
    (
        f"The MAC signature found in the HTTP request '{S}=' is not the same as any computed signature.",
        S,
        ["is not the"],
    ),
]
URLS = [
    (f"https://user:{S}@host/p", S, ["https://user:", "@host/p"]),
    (f"postgresql+psycopg2://bob:{S}@db:5432/x", S, ["//bob:", "@db:5432/x"]),
    (f"mssql+pyodbc://bob:{S}@h/d?driver=x", S, ["@h/d?driver=x"]),
    (f"redis://:{S}@host:6379/0", S, ["redis://:", "@host:6379/0"]),
    (f"amqp://guest:{S}@h//", S, ["@h//"]),
    (f"mongodb+srv://u:{S}@h1,h2/d", S, ["@h1,h2/d"]),
    ("https://u:p%40ss%2Fw%3Ard@h/x", "p%40ss%2Fw%3Ard", ["https://u:", "@h/x"]),
    ("postgresql://bob:p@ss/w0rd@db.example.com/d", "w0rd", ["//bob:", "@db.example.com/d"]),
    ("https://bob:pa/ss#w?d@h.example.com/d", "ss#w", ["//bob:", "@h.example.com/d"]),
    ("https://bob:it's!$&*()@h/d", "it's!$&*()", ["@h/d"]),
    ('https://bob:a"b@h/d', 'a"b', ["@h/d"]),
    (f"https://bob@example.com:{S}@h/d", S, ["@h/d"]),
    ("https://ghp_x@github.com/a/b", "ghp_x", ["@github.com/a/b"]),
    (f"https://x-access-token:{S}@github.com/a", S, ["x-access-token:", "@github.com/a"]),
    (f"https://{S}{S}@o1.ingest.sentry.io/1", S, ["@o1.ingest.sentry.io/1"]),
    (f"git+https://{S}{S}:x-oauth-basic@github.com/a", S, ["@github.com/a"]),
    (f'"https:\\/\\/bob:{S}@h\\/d"', S, ["bob:", "@h"]),
    (f"next=https%3A%2F%2Fbob%3A{S}%40host%2Fp", S, ["bob%3A", "%40host%2Fp"]),
    (f"redis://:{S}@a:1,redis://:{S}@b:2", S, ["@a:1,redis://:", "@b:2"]),
    (f"ProxyError('http://bob:{S}@proxy:8080')", S, ["@proxy:8080')"]),
]
NESTED = [
    (json.dumps({"clientSecret": S, "x": {"password": S}}), S, ['"x": {"password": "']),
    (json.dumps(json.dumps({"clientSecret": S, "x": 1})), S, ['\\"x\\": 1']),
    (json.dumps(json.dumps(json.dumps({"clientSecret": S, "x": 1}))), S, ['\\\\\\"x\\\\\\": 1']),
    (json.dumps({"password": 'a"quoted" b', "x": 1}), "quoted", ['"x": 1']),
    (json.dumps({"password": "ends with \\", "x": 1}), "ends with", ['"x": 1']),
    (json.dumps(json.dumps({"password": 'a"quoted" b\\', "x": 1})), "quoted", ['\\"x\\": 1']),
    (json.dumps({"m": f"url ?sig={S}&se=1", "x": 1}), S, ["&se=1", '"x": 1']),
    (json.dumps({"m": f"password: {S}\nHost: h"}), S, ["\\nHost: h"]),
    (f'{{"password":"{S}","x":1}}', S, ['","x":1}']),
    (f'{{"password"\n:\n"{S}","x":1}}', S, ['"x":1}']),
    (f"password: {S}  # of the database\nuser: bob", S, ["  # of the database\nuser: bob"]),
    ("password: correct horse battery\nuser: bob", "horse", ["\nuser: bob"]),
    ("password: swordfish", "swordfish", []),
    (f"password:\n  {S}\nuser: bob", S, ["\nuser: bob"]),
    (f"private_key: |\n  {S}\n  {S}\nuser: bob", S, ["\nuser: bob"]),
    (f'[db]\npassword = "{S}"\nuser = "bob"', S, ['user = "bob"']),
    (f"[db]\npassword={S}\nuser=bob", S, ["\nuser=bob"]),
    (f"password =\n    '{S}'", S, []),
    (f"{{'password': '{S} '\n             '{S}',\n 'x': 1}}", S, ["'x': 1"]),
    (f"sig={S}\nabcDEF123%3D&se=1", "abcDEF123", ["&se=1"]),
    (f"AccountKey={S}\nabcDEF123==;x=1", "abcDEF123", [";x=1"]),
    (f"x%26sig%3D{S}%252F%26se%3D1", S, ["x%26sig%3D", "%26se%3D1"]),
    (f"x%2526sig%253D{S}%2526se%253D1", S, ["%2526se%253D1"]),
    (f"odbc_connect=DRIVER%3Dd%3BPassword%3D{S}%2B%3BDatabase%3Dd", S, ["DRIVER%3Dd%3BPassword%3D", "%3BDatabase%3Dd"]),
    (f"%7B%22password%22%3A%22{S}%22%2C%22x%22%3A1%7D", S, ["%22%2C%22x%22%3A1%7D"]),
    (f"?sv=1&amp;sig={S}&amp;se=1", S, ["?sv=1&amp;sig=", "&amp;se=1"]),
    (f"?sv=1\\u0026sig={S}\\u0026se=1", S, ["?sv=1\\u0026sig=", "\\u0026se=1"]),
    (f"{{&quot;password&quot;: &quot;{S} x&quot;, &quot;x&quot;: 1}}", S, ["&quot;x&quot;: 1"]),
    (f'<a href="https://h/?sig={S}">text</a>', S, ['">text</a>']),
    (f"[text](https://h/?sig={S}) follows", S, [") follows"]),
]
TOKENS = [
    JWT,
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "pypi-AgEIcHlwaS5vcmcCJDU3ZjM4",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI",
    "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "sk-proj-abcDEF123456789_-abcdef",
    "sk-ant-api03-abcDEF123456789",
    "glpat-abcDEF123456789xyz-_",
    "npm_abcDEF123456789abcDEF123456789abcDEF",
    "dapi0123456789abcdef0123456789abcdef",
    "abc8Q~dEfGhIjKlMnOpQrStUvWxYz0123456789.~",
    STORAGE_KEY,
    PEM,
    PEM.replace("\n", "\\n"),
    PEM.replace("RSA ", ""),
    PEM.replace("RSA ", "OPENSSH ").replace("\n", "\r\n"),
]
LOOKS = [
    (text.format(token), token, text.split("{}"))
    for token in TOKENS
    for text in ("{}", "it was {} before", "«{}»", "'{}'", "a={},", "x\\n{}", "é\n{}\n", "({})")
]
ROWS = NAMED + HEADERS + URLS + NESTED + LOOKS

# Error texts as the libraries write them: (text with a secret, the secret, what must stay)
REAL = [
    (
        (
            "HTTPSConnectionPool(host='a.blob.core.windows.net', port=443): Max retries exceeded with url: "
            f"/c/b?sv=2021-08-06&se=2026-01-01T00%3A00%3A00Z&sr=b&sp=r&sig={S}%2Bx%3D (Caused by NewConnectionError("
            "'<urllib3.connection.HTTPSConnection object at 0x7f0>: Failed to establish a new connection'))"
        ),
        S,
        ["port=443", "sp=r&sig=", " (Caused by NewConnectionError("],
    ),
    (
        (
            "azure.core.exceptions.ClientAuthenticationError: Server failed to authenticate the request.\n"
            "ErrorCode:AuthenticationFailed\nauthenticationerrordetail:The MAC signature found in the HTTP request "
            f"'{S}=' is not the same as any computed signature. Server used following string to sign: 'GET\n\n'."
        ),
        S,
        ["ErrorCode:AuthenticationFailed", "Server used following string to sign"],
    ),
    (
        (
            f"mlflow.exceptions.MlflowException: API request to https://bob:{S}@mlflow.example.com/api/2.0 failed with "
            "exception HTTPSConnectionPool(host='mlflow.example.com', port=443)"
        ),
        S,
        ["https://bob:", "@mlflow.example.com/api/2.0 failed"],
    ),
    (
        f'psycopg2.ProgrammingError: invalid dsn: missing "=" after "postgresql://bob:{S}@db/x" in connection info string',
        S,
        ["//bob:", '@db/x" in connection info string'],
    ),
    (
        (
            f"huggingface_hub.errors.HfHubHTTPError: 401 Client Error for url: https://huggingface.co/api/whoami "
            f"(Request ID: Root=1-2;3) headers={{'authorization': 'Bearer {S}', 'user-agent': 'x/1'}}"
        ),
        S,
        ["(Request ID: Root=1-2;3)", "'user-agent': 'x/1'"],
    ),
    (
        f"POST body: client_id=abc&scope=https%3A%2F%2Fml.azure.com%2F.default&client_secret={S}%7E&grant_type=x",
        S,
        ["client_id=abc&scope=https%3A%2F%2Fml.azure.com%2F.default&client_secret=", "&grant_type=x"],
    ),
]

UNCHANGED = [
    "signature=valid, key: backbone.epochs",
    "https://e.net/?key=name&value=3",
    "credentials: see the README",
    "",
    "exit code=137",
    "status code=404, code: 404, code=42, error code: InvalidAuthenticationToken",
    '{"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization to perform action"}}',
    "no bearer token was given; Bearer token missing; the bearer authentication, Bearer OAuth2 token",
    'WWW-Authenticate: Bearer realm="x", authorization_uri="https://login/", error="invalid_token"',
    "the token count is 512 and tokens: 128, max_tokens=64, num_tokens: 3, token=512",
    "token_type_ids: [0, 0], tokenizer: bert-base-cased, pad_token='[PAD]', eos_token: </s>, pad_token_id=0",
    "Basic usage: ftkit run. basic authentication failed. Basic BertClassifier.",
    "key: backbone.epochs, sort_key=lambda, keys=3, primary_key=id, PRIMARY_KEY=id, cache_key=0123456789abcdef",
    "the password is wrong. Password authentication failed for user bob. A password must be given.",
    f"manifest.json: {'0123456789abcdef' * 4}, key: {'0123456789abcdef' * 4}, commit 6a204bd89f3c8348afd5c77c717a097a",
    "run 123e4567-e89b-12d3-a456-426614174000 design=factorial signal=9 sigma=0.5 sig insignia design",
    "secret_scope, secret_name=db, secretRef: db, has_token=True, use_password=false",
    "metrics.val.accuracy=0.93 learning_rate=3e-05 seed=3",
    "https://host:8080/path@v1 https://h/a@b?x=c@d bob@example.com user@host git@github.com:a/b ssh://git@github.com/a",
    "abfss://container@account.dfs.core.windows.net/p docker://image:tag@sha256:0123 https://[::1]:80/@x",
    "https://example.com/?email=bob@example.com https://host:80?email=a@b http://a:80,http://b:81/@x",
    "Traceback (most recent call last):\n  File \"x.py\", line 3, in f\n    raise KeyError(token)\nKeyError: 'token'",
    "    token = self.token\n    sig = inspect.signature(f)\n    secret = os.environ.get('X')\n",
    "Authorization header was missing; the Authorization header",
    "api_key=None, token=None, password='', secret=\"\", token: null, password=",
    r"C:\Users\token C:\token\secret, 12:30:45@zone",
    "The secret: they use real butter. I lost my password! Best kept secret in town, the secret is out; token gesture.",
    "/run/secrets/token: No such file or directory; /etc/passwd: permission denied",
    "ssh-rsa AAAAB3Nza key; -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "hf_hub_download hf_transformers npm_config_registry sk-learn-contrib-something task-runner pypi-publish-action-step",
    "def login(token: str, password: str | None = None) -> None:",
    "Missing keys: ['password', 'username']; fields ('name', 'value')",
    "PWD=/home/bob OLDPWD=/tmp std::token::Kind",
    (
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
        "not the client secret ID, for a secret added to app '123e4567-e89b-12d3-a456-426614174000'. Trace ID: 1-2"
    ),
    'connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  password authentication failed for user "bob"',
    (
        "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
        "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Environment variables are not fully set."
    ),
    (
        "Cannot access gated repo for url https://huggingface.co/a/b. Access to model a/b is restricted. You must have access "
        "to it and be authenticated to access it. Please log in. Invalid user token."
    ),
    """curl -H "Authorization: Bearer $(cat '/home/bob/the key')" -H 'x: y'""",
    """curl -H "Authorization: Bearer $(az ml online-endpoint get-credentials --name e --query primaryKey)" http://h/""",
    "Send `Authorization: Bearer KEY`; 'Bearer TOKEN' in the header; usage: ftkit x --token TOKEN --password PASSWORD",
    "export HF_TOKEN=… FTKIT_RECORD_KEY=$(openssl rand -hex 32) password=$DB_PASSWORD; token: ${HF_TOKEN}.",
    "Copy it from the resource's overview: InstrumentationKey=…;IngestionEndpoint=https://…",
    "token: ${{ secrets.PYPI_TOKEN }}\n$x = 'Authorization: Bearer $env:HF_TOKEN'",
    "use --token to pass one; --password is required; Option '--token' requires an argument.",
    "x" * 200 + "\ud800\udfff \udc80 \x00 ﷽",
]


@pytest.fixture(autouse=True)
def no_secret_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the variables of whoever runs the tests out of them."""
    import os

    for name in list(os.environ):
        if any(
            word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASS", "SAS", "CONNECTION", "PROXY", "URL")
        ):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(("text", "secret", "kept"), ROWS + REAL)
def test_a_secret_is_hidden_and_its_sentence_stays(text: str, secret: str, kept: list[str]) -> None:
    result = redacted(text)
    assert secret not in result
    assert MASK in result
    for part in kept:
        assert part in result
    assert redacted(result) == result


@pytest.mark.parametrize("text", UNCHANGED)
def test_a_text_without_a_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
@pytest.mark.parametrize(
    "name",
    ["sig", "accountkey", "sharedaccesskey", "client_secret", "password", "pwd", "api-key", "access_token", "x_secret"],
)
def test_the_case_of_a_name_does_not_matter(name: str, case: object) -> None:
    assert callable(case)
    assert redacted(f"?a=1&{case(name)}={S}&b=2") == f"?a=1&{case(name)}={MASK}&b=2"


FORMS = [
    "?sv=1&sig={}&se=1",
    "client_secret={}",
    "password: {}",
    "'api_key': '{}'",
    '"accessToken": "{}"',
    '\\"clientSecret\\": \\"{}\\"',
    "AccountKey={};x=1",
    "Password = {}; x=1",
    "Authorization: Bearer {}",
    "{{'Authorization': 'Bearer {}'}}",
    "('authorization', b'Basic {}')",
    "https://bob:{}@host.example.com/x",
    "x%26sig%3D{}%26se%3D1",
    "&amp;sig={}&amp;se=1",
    "--client-secret {}",
    "HF_TOKEN={}",
    "<password>{}</password>",
    "ghp_{}",
    "hf_{}A0",
]
surroundings = st.text(
    st.characters(exclude_characters="\"'`\\=:&%;@/<>|.,-_()[]{}*#?+~", exclude_categories=[]), max_size=30
)
secrets = st.from_regex(r"[A-Z][0-9][A-Za-z0-9]{14,30}", fullmatch=True)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=surroundings, after=surroundings, form=st.sampled_from(FORMS), secret=secrets, gap=st.sampled_from(" \n\t")
)
def test_a_planted_secret_is_gone_and_its_surroundings_stay(
    before: str, after: str, form: str, secret: str, gap: str
) -> None:
    planted = form.format(secret)
    result = redacted(f"{before}{gap}{planted} {after}")
    assert secret not in result
    if secret not in before + after:
        assert result == f"{before}{gap}{redacted(planted)} {after}"


pieces = st.one_of(
    st.sampled_from([text for text, _, _ in NAMED + HEADERS + URLS + NESTED]),
    st.sampled_from(
        ["'", '"', "\\", "\n", " ", ";", ",", "&", "=", ":", "%3D", "%26", "@", "://", "{", "[", "(", "***", "`"]
    ),
    st.sampled_from(
        ["password", "token", "Bearer ", "Authorization", "sig", "key", "value", "name", "--token ", "|\n "]
    ),
    st.text(max_size=5),
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12).map("".join))
@example("token: secret: password=")
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


ADVERSARIAL = [
    "a", " ", "\\", '"', "'", "=", "%25", "&", "@", "://", "eyJ-", "eyJ", "\\'", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ",
    "password='a'b", "password=\"", "password=", "password: ", "token:\n", 'password=\\"', "password", "Bearer ", "bearer a",
    "https://a:", "https://a:b/@", "https://a@", "x://a:<", "key ", "<a ", "<password>", "--password ", "auth=('a','", ",a",
    ";a", "&a", "password=a ", "password=[", "password=['a',", "Authorization: ", "Authorization: x ", "Cookie: a=", "%3A%2F%2Fa%3A",
    "\x1b[0m", "password=" + "\x1b[0m", "A", "A1", "sk-", "sk-a", "-", "_", ".", "8Q~", "login a password", "SG.a", "\\u0026",
    '"name": "HF_TOKEN" ', "password: |\n ", "password=a;", "password=a\n", "password='a'\n", "token=)", "token=(", "name=value=",
    "password=''", "&quot;", "password=&quot;", "%22", "password%3D%22",
]  # fmt: skip


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_a_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    redacted("password=" + text)
    redacted(text + "!")
    assert time.process_time() - start < 10  # a quadratic pattern takes minutes


def test_a_megabyte_of_log_lines_is_fast() -> None:
    line = f"2026-01-01 12:30:45 INFO epoch=3 loss=0.25 url=https://h/?sig={S}&se=1 {{'user': 'bob', 'token': '{S}'}}\n"
    start = time.process_time()
    result = redacted(line * 10_000)
    assert time.process_time() - start < 10
    assert S not in result
    assert result.count(MASK) == 20_000


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_CLIENT_SECRET",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "FTKIT_RECORD_KEY",
        "STORAGE_SAS_VALUE",
        "AZURE_STORAGE_KEY",
    ],
)
def test_the_value_of_a_secret_variable_is_hidden_in_every_form(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "zå+/\"q w'\\&9%"
    monkeypatch.setenv(name, secret)
    forms = [secret, quote(secret), quote(secret, safe=""), quote_plus(secret), quote(quote(secret, safe=""), safe="")]
    forms += [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]]
    forms += [quote(secret, safe="").lower()]
    for form in forms:
        assert redacted(f"it said {form} twice: {form}") == f"it said {MASK} twice: {MASK}"
    for prefix in ("", "b:", "bo:", "bob:"):
        encoded = base64.b64encode(f"{prefix}{secret}".encode()).decode()
        assert encoded[8:-6] not in redacted(f"it said {encoded} twice")
    monkeypatch.delenv(name)
    assert redacted("it said xå+/q") == "it said xå+/q"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "abc"),
        ("HF_TOKEN", "true"),
        ("HF_TOKEN", "1234567"),
        ("HF_TOKEN", "******"),
        ("HF_TOKEN", "password"),
        ("HF_TOKEN", "/tmp"),
        ("PWD", "/usr/lib"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HOME_PAGE", "epochs"),
        ("SORT_KEY", "epochs"),
        ("AZURE_CLIENT_ID", "epochs"),
    ],
)
def test_a_value_that_is_no_secret_ruins_no_text(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    text = f"the value {value} of 1234567 epochs is true in /tmp/x and /usr/lib ********* abc"
    assert redacted(text) == text


def test_of_a_connection_string_in_a_variable_only_the_secret_parts_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "123e4567-e89b-12d3-a456-426614174000"
    monkeypatch.setenv(
        "APPLICATIONINSIGHTS_CONNECTION_STRING", f"InstrumentationKey={key};IngestionEndpoint=https://e.net/"
    )
    monkeypatch.setenv("BLOB_SAS_URL", f"https://a.blob.net/c?sv=1&sig={S}&se=1")
    monkeypatch.setenv("TRACKING_URI", "https://bob:hunter2x@mlflow.net/")
    text = f"key {key} of https://e.net/, signature {S} of https://a.blob.net/c, hunter2x of bob at mlflow.net"
    expected = f"key {MASK} of https://e.net/, signature {MASK} of https://a.blob.net/c, {MASK} of bob at mlflow.net"
    assert redacted(text) == expected


def test_importing_it_loads_nothing_heavy() -> None:
    source = "import sys, ftkit.redaction; print('json' in sys.modules, 'html' in sys.modules)"
    checkout = Path(ftkit.__file__).parent.parent  # `-S` hides what is installed, ftkit too
    result = subprocess.run([sys.executable, "-S", "-c", source], cwd=checkout, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"], result.stderr
