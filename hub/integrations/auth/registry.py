"""All authentication modes by name, and the one form of `auth` in a definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hub.integrations.auth import (
    api_key,
    aws_sigv4,
    azure_shared_key,
    basic,
    bearer,
    digest,
    google_service_account,
    hmac_signature,
    login_call,
    mtls,
    none,
    oauth1,
    oauth2,
    ssh_key,
    template,
)
from hub.integrations.auth.api_key import ApiKeyAuth
from hub.integrations.auth.aws_sigv4 import AwsSigV4Auth
from hub.integrations.auth.azure_shared_key import AzureSharedKeyAuth
from hub.integrations.auth.basic import BasicAuth
from hub.integrations.auth.bearer import BearerAuth
from hub.integrations.auth.digest import DigestAuth
from hub.integrations.auth.google_service_account import GoogleServiceAccountAuth
from hub.integrations.auth.hmac_signature import HmacAuth
from hub.integrations.auth.login_call import LoginCallAuth
from hub.integrations.auth.mtls import MtlsAuth
from hub.integrations.auth.none import NoAuth
from hub.integrations.auth.oauth1 import OAuth1Auth
from hub.integrations.auth.oauth2 import OAuth2Auth
from hub.integrations.auth.ssh_key import SshKeyAuth
from hub.integrations.auth.template import TemplateAuth
from hub.web.choices import told_by

if TYPE_CHECKING:
    from hub.integrations.auth.mode import Mode

MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        none.MODE,
        api_key.MODE,
        basic.MODE,
        bearer.MODE,
        digest.MODE,
        template.MODE,
        hmac_signature.MODE,
        oauth1.MODE,
        aws_sigv4.MODE,
        azure_shared_key.MODE,
        ssh_key.MODE,
        oauth2.MODE,
        google_service_account.MODE,
        login_call.MODE,
        mtls.MODE,
    )
}

#: The form of `auth`: that of one mode.
AuthForm = Annotated[
    NoAuth
    | ApiKeyAuth
    | BasicAuth
    | BearerAuth
    | DigestAuth
    | TemplateAuth
    | HmacAuth
    | OAuth1Auth
    | AwsSigV4Auth
    | AzureSharedKeyAuth
    | SshKeyAuth
    | OAuth2Auth
    | GoogleServiceAccountAuth
    | LoginCallAuth
    | MtlsAuth,
    Field(discriminator="mode"),
    told_by("mode"),
]
