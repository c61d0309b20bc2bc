"""Who is asking: OAuth introspection and access tokens from a refresh token."""
import secrets

from reply import Refusal, json_reply, need


def introspect(world, _, args):
    token = need(args, "token")
    user = world.user_of_token(token)
    if user is None:
        return {"active": False}
    until = user.tokens[token]
    return {"active": True, "clientId": "", "username": user.slug, "userId": user.id, "scope": "resources.admin:*",
            "exp": int(until or world.clock.now() + 30 * 86400)}


def generate(world, caller, args):
    """A new access token. The refresh token is the credential; a caller with a bearer token needs none."""
    refresh = args.get("refreshToken")
    user = next((u for u in world.users.values() if refresh and u.refresh == refresh), None) if refresh else caller
    if user is None:
        raise Refusal(401, "Unauthorized")
    seconds = float(str(args.get("expirationDuration") or "43200s").rstrip("s"))
    token = "KGAT_" + secrets.token_hex(16)
    user.tokens[token] = world.clock.now() + seconds
    return json_reply({"token": token, "expiresIn": int(seconds), "userName": user.slug, "userId": user.id})


OAUTH = {"IntrospectToken": introspect}
USERS = {"GenerateAccessToken": generate}
