"""A resource server that takes Latchkey's access tokens (RFC 9068): FastAPI and PyJWT.

PyJWT checks signature, issuer, audience, algorithm and expiry; the type and the challenges of RFC 6750 §3 are added here.
"""

import os
import socket
import time
from urllib.error import URLError

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

ISSUER = os.environ.get("ISSUER", "http://localhost:3000")
AUDIENCE = os.environ.get("AUDIENCE", ISSUER)
PORT = int(os.environ.get("PORT", "4000"))

jwks = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json")
app = FastAPI()


def refuse(status: int, challenge: str) -> HTTPException:
    return HTTPException(status, headers={"WWW-Authenticate": challenge})


# Not `async`: the key set is fetched in a thread, so that nobody else waits for it.
def authenticate(credentials: HTTPAuthorizationCredentials | None = Depends(HTTPBearer(auto_error=False))) -> dict:
    if credentials is None:
        raise refuse(401, "Bearer")
    token = credentials.credentials
    try:
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("this is not an access token")
        key = jwks.get_signing_key_from_jwt(token).key
        # The leeway is for two clocks that differ a little: PyJWT refuses tokens from the future.
        return jwt.decode(token, key, ["ES256"], issuer=ISSUER, audience=AUDIENCE, leeway=5, options={"require": ["exp"]})
    except jwt.PyJWTError as error:
        if isinstance(error.__context__, URLError):
            # Keys that cannot be had say nothing about the token.
            raise HTTPException(503)
        raise refuse(401, 'Bearer error="invalid_token"')


def require_scope(scope: str):
    def check(claims: dict = Depends(authenticate)) -> dict:
        if scope not in claims.get("scope", "").split():
            raise refuse(403, f'Bearer error="insufficient_scope", scope="{scope}"')
        return claims

    return check


# The claim is there only for clients registered with `--claim roles`; without it nobody has the role.
def require_role(role: str):
    def check(claims: dict = Depends(authenticate)) -> dict:
        if role not in claims.get("roles", []):
            raise HTTPException(403)
        return claims

    return check


# For what can do harm: who it is has to be proved surely and lately (`max_age` in seconds). Its client starts a step-up with what the
# challenge says: RFC 9470 §3.
def require_proof(acr_values: list[str], max_age: int):
    challenge = f'Bearer error="insufficient_user_authentication", acr_values="{" ".join(acr_values)}", max_age={max_age}'

    def check(claims: dict = Depends(authenticate)) -> dict:
        if claims.get("acr") not in acr_values or time.time() - claims.get("auth_time", 0) > max_age:
            raise refuse(401, challenge)
        return claims

    return check


@app.get("/hello")
def hello(claims: dict = Depends(authenticate)):
    return {"sub": claims["sub"]}


@app.post("/notes", status_code=201)
def add_note(claims: dict = Depends(require_scope("write"))):
    return {"author": claims["sub"]}


@app.get("/statistics", dependencies=[Depends(require_role("admin"))])
def show_statistics():
    return {"notes": 0}


@app.post("/payments", status_code=201)
def pay(claims: dict = Depends(require_proof(["urn:latchkey:2fa", "phr"], 300))):
    return {"payer": claims["sub"]}


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", PORT))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
