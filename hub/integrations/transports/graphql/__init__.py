"""GraphQL over HTTP: documents and variables are checked before anything leaves, answers after they have come.

`forms` says what an integration and its operations look like; `document` reads documents (`source`, `schema`), and
`shapes` judges variables; `transport` prepares a `request`, and `calling` sends it; `answer` says what an answer means,
`pages` joins the pages of a connection. graphql-core is loaded when the first document is read.
"""

from __future__ import annotations

from hub.integrations.transports.graphql.transport import GraphqlTransport

__all__ = ["GraphqlTransport"]
